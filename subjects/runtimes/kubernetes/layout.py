"""What a cluster of ours on Kubernetes is, as it is written in its folder (`kubernetes.json`).

Written before anything is made, so that a later run, or the healer, finds the same namespace by the same
kubeconfig and context, whatever is current by then.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from subjects.errors import NewerState, NotReady
from subjects.runtimes.json_file import write_json
from subjects.untrusted import NotJson, read_json

VERSION = 1
FILE = "kubernetes.json"


@dataclass(frozen=True, slots=True)
class KubernetesLayout:
    """One cluster of ours."""

    subject: str
    kubeconfig: str
    context: str
    server: str
    namespace: str
    namespace_uid: str = ""
    """Of the namespace that we made; empty before it was made. One of another uid is somebody else's."""
    images: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()


def new_namespace(subject: str) -> str:
    """Return a name that nobody else has: two people may share a cluster, and call their folders the same."""
    return f"operator-{subject}-{secrets.token_hex(4)}"


def save(layout: KubernetesLayout, folder: Path) -> None:
    """Write `kubernetes.json`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(folder / FILE, {"version": VERSION, **asdict(layout)})


def load(folder: Path) -> KubernetesLayout | None:
    """Read `kubernetes.json`; None when the folder holds no cluster. NewerState when a newer one wrote it."""
    try:
        raw = read_json((folder / FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError, NotJson):
        return None
    try:
        if raw.pop("version") > VERSION:
            raise NewerState(
                f"{folder / FILE} was written by a newer operator. Use that, or another --state-dir."
            )
        return KubernetesLayout(**{**raw, "nodes": tuple(raw["nodes"])})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"{folder / FILE} is damaged ({type(error).__name__}: {error}). Move the folder away."
        raise NotReady(text) from error
