"""Which context operator may make things in: one that is for trying out, or one that the person allows."""

import re

from subjects.errors import NeedsConsent
from subjects.runtimes.kubernetes.api import Api

_THROWAWAY = re.compile(r"kind-.+|k3d-.+|minikube|docker-desktop|rancher-desktop|orbstack|colima(-.+)?")
"""What the usual tools for a cluster on one's own machine call their contexts."""


def is_throwaway(context: str) -> bool:
    """Whether a context is, by its name, of a cluster on somebody's own machine."""
    return _THROWAWAY.fullmatch(context) is not None


def require_allowed(api: Api, allowed: tuple[str, ...]) -> None:
    """Raise NeedsConsent unless operator may make a namespace of its own in this context."""
    if is_throwaway(api.context) or api.context in allowed:
        return
    unlike = (
        f"The context {api.context} ({api.server}) does not look like one for trying out "
        "(kind-…, minikube, k3d-…, docker-desktop)"
    )
    raise NeedsConsent(
        f"{unlike}: nothing was made there. If operator may make a namespace of its own in it, "
        f"give --allow-context {api.context}.",
        api.context,
        f"{unlike}. Make a namespace of operator's own in it, and break what is in that",
    )
