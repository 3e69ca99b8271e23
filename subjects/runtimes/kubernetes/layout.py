"""What a cluster of ours on Kubernetes is, as it is written in its folder (`kubernetes.json`).

Written before anything is made, so that a later run, or the healer, finds the same namespace by the same
kubeconfig and context, whatever is current by then.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from subjects.runtimes.json_file import read_layout, write_json

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
    """Read `kubernetes.json`; None when the folder holds no cluster. Errors: `read_layout`."""

    def make(raw: dict[str, Any]) -> KubernetesLayout:
        return KubernetesLayout(**{**raw, "nodes": tuple(raw["nodes"])})

    return read_layout(folder / FILE, VERSION, make)
