"""What a diagnosis is: what was submitted, and what became of it after the check."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.tool import Params


class Kind(StrEnum):
    """What happened, in one word."""

    CRASH = "crash"
    PAUSE = "pause"
    PARTITION = "partition"
    SLOW_DISK = "slow_disk"
    DISK_FULL = "disk_full"
    OVERLOAD = "overload"
    NETWORK_DELAY = "network_delay"
    QUORUM_LOSS = "quorum_loss"
    LEADER_LOSS = "leader_loss"
    PLANNED_RESTART = "planned_restart"
    RESTART = "restart"
    """Restarted, and nobody can tell whether by a crash or on request."""
    SPACE_QUOTA = "space_quota"
    """The database's own quota is used up, not the disk: etcd's NOSPACE."""
    CORRUPTION = "corruption"
    MEMBERSHIP = "membership_change"
    """Removed from the members, or replaced under the same name."""
    CERTIFICATE = "certificate"
    """A certificate that has expired keeps clients out."""
    DEFRAGMENTATION = "defragmentation"
    CLOCK_DRIFT = "clock_drift"
    """A member's wall clock is off; etcd does not fail of that by itself."""
    NONE = "none"
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """How sure the diagnostician is."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def lowered(self) -> "Confidence":
        """One step less; LOW stays."""
        return Confidence.MEDIUM if self is Confidence.HIGH else Confidence.LOW


class Cited(BaseModel):
    """One claim and what holds it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(
        description="Id of the evidence, as the results show it in brackets, without the brackets."
    )
    quote: str = Field(description="Words that occur in that evidence exactly so, 8 to 300 characters.")
    claim: str = Field(description="What they show.")


class Alternative(BaseModel):
    """Another cause that was thought of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cause: str = Field(description="The other cause, in a phrase.")
    ruled_out_by: str = Field(description="What speaks against it, or what would be needed to exclude it.")


class Findings(Params):
    """A diagnosis as it is submitted: the parameters of `submit_diagnosis`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    observation: str = Field(
        min_length=1, description="What was seen, without a cause: one or two sentences."
    )
    root_cause: str = Field(
        min_length=1, description="What caused it, one sentence; say so if it is not known."
    )
    kind: Kind
    nodes: tuple[str, ...] = Field(
        default=(), description="Names of the nodes where the cause lies; empty for none or unknown."
    )
    confidence: Confidence = Field(
        description="high only with two independent sources, e.g. the kernel and a peer."
    )
    evidence: tuple[Cited, ...] = Field(description="Every claim with the evidence that holds it.")
    alternatives: tuple[Alternative, ...] = Field(
        min_length=2, description="At least two other causes, and what rules each out."
    )
    suggested_actions: tuple[str, ...] = Field(default=(), description="What to do, most urgent first.")
    would_change: str = Field(
        min_length=1, description="What observation would change this conclusion, one sentence."
    )


class Diagnosis(Findings):
    """A diagnosis after the check."""

    by: Literal["claude", "rules"]
    verified: bool = False
    """Every citation held and nothing else was found wrong."""
    problems: tuple[str, ...] = ()
    """What the check found wrong and the diagnostician did not repair."""

    def as_result(self) -> dict[str, Any]:
        """Return it as a `result` has it, in JSON."""
        return {
            "by": self.by,
            "observation": self.observation,
            "root_cause": self.root_cause,
            "kind": self.kind.value,
            "node": self.nodes[0] if self.nodes else None,
            "nodes": list(self.nodes),
            "confidence": self.confidence.value,
            "evidence": [{"id": c.id, "claim": c.claim, "quote": c.quote} for c in self.evidence],
            "ruled_out": [{"cause": a.cause, "ruled_out_by": a.ruled_out_by} for a in self.alternatives],
            "suggested_actions": list(self.suggested_actions),
            "would_change": self.would_change,
            "verified": self.verified,
            "problems": list(self.problems),
        }
