"""What is asked of a demo, as data, and what an acting call must be to fit it."""

from collections.abc import Mapping
from dataclasses import dataclass

from subjects.target_roles import target_roles

DEFAULT_FAULT, DEFAULT_TIMEOUT_S = "kill", 30.0


STOPPED = "the person stopped the demo"
"""Why a call of the demo is refused once they did."""


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What was asked of the demo. None is `not said`: whoever answers chooses."""

    fault: str | None = None
    """A fault of the catalogue."""
    target: str | None = None
    """`random`, a role that the database has, or a node's name; None for the database's default."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    """How long the detection is waited for."""
    workload: str | None = None
    rate: float | None = None
    """Operations per second."""

    @property
    def text(self) -> str:
        """The request in words, as a model reads it."""
        return (
            f"Run the chaos demo with fault {self.fault or DEFAULT_FAULT}{_on(self.target)}. "
            f"{'' if self.rate is None else f'Start the load with {self.rate:g} operations/s. '}"
            f"Wait up to {self.timeout_s:g} s for the detection."
        )

    @property
    def injection(self) -> tuple[str, dict[str, str]]:
        """The call that breaks what was asked for: a tool and its arguments."""
        target = {} if self.target is None else {"target": self.target}
        if self.fault in (None, "kill"):
            return "store_kill", target
        return "fault_inject", {"kind": str(self.fault), **target}

    def mismatch(self, tool: str, arguments: Mapping[str, object]) -> str:
        """Return why a call of store_kill or fault_inject is not what was asked for; empty if it is."""
        kind = "kill" if tool == "store_kill" else str(arguments.get("kind"))
        target = None if arguments.get("target") is None else str(arguments["target"])
        if self.fault in (None, kind) and self.target in (None, target):
            return ""
        asked = DemoRequest(self.fault or kind, self.target or target)
        name, right = asked.injection
        mended = ", ".join(f"{key}={value}" for key, value in right.items())
        return (
            f"the demo was asked for {asked.fault}{_on(asked.target)}; "
            f"call {name} with {mended or 'no target'}"
        )


def _on(target: str | None) -> str:
    return "" if target is None else f" on {target_roles().get(target, target)}"
