"""The plan: which fault on which node in which order, all of it from the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tools.errors import ToolError
from tools.faults.catalogue import CATALOGUE

HEALED = "healed"
"""A fault that is over before anybody looks."""
NOISY = "noisy"
"""A noisy but healthy store: requests keep it busy, and nothing is wrong with it."""

DEFAULT_FAULTS = (
    "kill",
    "pause",
    "partition",
    "disk_full",
    "network_delay",
    "quorum_loss",
    "restart",
    HEALED,
    NOISY,
    "none",
)

_HEALED_KINDS = ("kill", "pause")


@dataclass(frozen=True, slots=True)
class DrillSettings:
    """One drill."""

    trials: int = 10
    faults: tuple[str, ...] = DEFAULT_FAULTS
    seed: int = 0
    detect_s: float = 15.0
    """How long a detection is waited for."""
    rate: float = 100.0
    """Operations per second of the load that runs throughout; 0 for none."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial as it was planned: the truth that a diagnosis is judged by."""

    n: int
    name: str
    """A kind of the catalogue, `healed` or `noisy`."""
    kind: str
    """What is really injected; `none` for nothing."""
    target: str
    """A store; a fault that chooses its nodes itself does not look at it."""
    jitter_s: float
    """How long to wait before the injection, so that its time cannot be guessed."""
    accepted: tuple[str, ...] = ()
    """The kinds that a right diagnosis may name."""

    @property
    def control(self) -> bool:
        """Whether nothing should be detected."""
        return self.name in {"none", "restart", NOISY}


def checked(faults: Sequence[str]) -> tuple[str, ...]:
    """Return the faults' names; ToolError, which names those there are, for one that there is not."""
    known = (*CATALOGUE, HEALED, NOISY)
    unknown = [name for name in faults if name not in known]
    if unknown or not faults:
        raise ToolError(
            f"There is no fault {', '.join(unknown)!r} to drill." if unknown else "No fault is named.",
            f"Those there are: {', '.join(known)}.",
        )
    return tuple(faults)


def plan(settings: DrillSettings, stores: Sequence[str]) -> tuple[Trial, ...]:
    """Return the trials: every fault equally often, as far as the number allows, in random order."""
    faults = checked(settings.faults)
    chance = random.Random(settings.seed)  # noqa: S311 - a seed that repeats is what is wanted
    names = [faults[n % len(faults)] for n in range(settings.trials)]
    chance.shuffle(names)
    return tuple(_trial(n, name, stores, chance) for n, name in enumerate(names, 1))


def _trial(n: int, name: str, stores: Sequence[str], chance: random.Random) -> Trial:
    # Drawn for every trial alike, so that one fault's needs don't shift the next one's luck.
    target, short, jitter_s = chance.choice(stores), chance.choice(_HEALED_KINDS), chance.uniform(0.3, 1.5)
    kind = {HEALED: short, NOISY: "none"}.get(name, name)
    accepted = CATALOGUE[kind].diagnoses
    return Trial(n, name, kind, target, round(jitter_s, 3), accepted)
