"""The sealed truth: written and hashed before the injection, opened after the diagnosis."""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.drill.plan import Trial


@dataclass(frozen=True, slots=True)
class Seal:
    """One sealed truth."""

    path: Path
    sha256: str


class BrokenSeal(Exception):
    """What is in the file is not what was sealed."""


def seal(trial: Trial, folder: Path) -> Seal:
    """Write the truth of a trial, with a nonce so that its hash tells nothing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"trial-{trial.n:03d}.json"
    text = json.dumps({"nonce": secrets.token_hex(16), "truth": asdict(trial)})
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return Seal(path, hashlib.sha256(text.encode()).hexdigest())


def unseal(sealed: Seal) -> Trial:
    """Return the truth; BrokenSeal if it was changed since."""
    text = sealed.path.read_text(encoding="utf-8")
    if hashlib.sha256(text.encode()).hexdigest() != sealed.sha256:
        raise BrokenSeal(f"{sealed.path} was changed after it was sealed.")
    raw = json.loads(text)["truth"]
    return Trial(**{**raw, "accepted": tuple(raw["accepted"])})
