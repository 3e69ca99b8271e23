"""What a person says of a cluster on Kubernetes. Imports nothing of the client."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
