"""A cluster: one subject on one runtime."""

from dataclasses import dataclass

from subjects.base.runtime import Runtime
from subjects.base.subject import Subject


@dataclass(frozen=True, slots=True)
class Cluster:
    """One subject on one runtime."""

    id: str
    subject: Subject
    runtime: Runtime

    @property
    def label(self) -> str:
        """How it is shown: `etcd × process`."""
        return f"{self.subject.name} × {self.runtime.name}"

    async def aclose(self) -> None:
        """Close what is held open; the cluster itself goes on."""
        await self.subject.aclose()
        await self.runtime.aclose()
