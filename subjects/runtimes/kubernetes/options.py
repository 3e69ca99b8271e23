"""What a person says of a cluster on Kubernetes. Imports nothing of the client."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from subjects.errors import BadSetup

HELPER = {"helper": ("OPERATOR_HELPER_IMAGE", "docker.io/library/busybox:1.37.0-musl")}
"""The image of the agents and of the probe, as `chosen_images` takes it. Its busybox must be static."""


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """Where it is, and which pods somebody else's cluster consists of."""

    context: str | None = None
    """None is the kubeconfig's current one."""
    namespace: str | None = None
    """None is the context's own, or `default`; operator's own clusters always have one of their own."""
    statefulset: str | None = None
    tidbcluster: str | None = None
    """The name of a cluster that TiDB Operator made."""
    selector: str | None = None
    """Labels, as `kubectl -l` takes them."""
    allowed: tuple[str, ...] = ()
    """Contexts in which operator may make a namespace though they don't look like ones for trying out."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Images by what they are for: a database's program, or `helper`."""

    @property
    def attached(self) -> bool:
        """Whether pods that are there already are meant."""
        return any(each is not None for each in (self.statefulset, self.tidbcluster, self.selector))


def chosen_images(options: KubernetesOptions, images: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return the images: as given, else by their variables, else the defaults. BadSetup for another.

    `images` has the variable that names another, and the default, by what each is for.
    """
    if unknown := sorted(options.images.keys() - images.keys()):
        raise BadSetup(f"There is no image for {unknown[0]!r}: those there are: {', '.join(images)}.")
    return {
        name: options.images.get(name) or os.environ.get(variable) or default
        for name, (variable, default) in images.items()
    }
