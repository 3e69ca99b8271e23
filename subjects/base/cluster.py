"""A cluster: one database, the nodes that it runs on, and what may be done to them."""

from dataclasses import dataclass
from typing import TypeVar

from subjects.base.control import IMPLEMENTED_BY, Capability, Control, Deployment, Primitive, cannot
from subjects.base.nodes import Nodes
from subjects.base.subject import Subject
from subjects.errors import Unsupported

EXTERNAL = "external cluster, read-only"

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class ObservedCluster:
    """An external cluster, read-only."""

    id: str
    subject: Subject
    nodes: Nodes

    @property
    def label(self) -> str:
        """How it is shown: `etcd × process`."""
        return f"{self.subject.name} × {self.nodes.name}"

    async def aclose(self) -> None:
        """Close what is held open; the cluster itself goes on."""
        await self.subject.aclose()
        await self.nodes.aclose()


@dataclass(frozen=True, slots=True)
class Cluster(ObservedCluster):
    """A cluster, and what may be done to it.

    What can be seen of it is `nodes`, what may be done to it is `control`, and whose it is is `ours`.
    """

    control: Control | None = None
    """None where it is only watched."""
    notes: tuple[str, ...] = ()
    """What is to be said once of the way in to somebody else's cluster."""

    @property
    def ours(self) -> bool:
        """Whether operator made it: it may be taken down, and load may write into it."""
        return isinstance(self.control, Deployment)

    @property
    def observed(self) -> ObservedCluster:
        """The same cluster, without any means to act."""
        return ObservedCluster(self.id, self.subject, self.nodes)

    def capability(self, primitive: Primitive) -> Capability:
        """Say whether this can be done here, and how or why not."""
        if self.control is None:
            return cannot(EXTERNAL)
        known = self.control.capabilities().get(primitive)
        if known is not None and not known.available:
            return known
        if known is None or not isinstance(self.control, IMPLEMENTED_BY[primitive]):
            return cannot(f"there is no way to do it on {self.nodes.name}")
        return known

    def require(self, part: type[Part]) -> Part:
        """Return the control as one of the acting protocols; Unsupported, with the reason, if it is none."""
        if self.control is None:
            raise Unsupported(f"{self.label}: {EXTERNAL}.")
        if not isinstance(self.control, part):
            raise Unsupported(f"{self.label}: there is no {part.__name__} on {self.nodes.name}.")
        return self.control
