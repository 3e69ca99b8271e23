"""What an embedded cluster is made of, as it is written in its folder (`cluster.json`)."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from subjects.base import Scope
from subjects.runtimes.json_file import read_layout, write_json

VERSION = 1
FILE = "cluster.json"
_NAME = re.compile(r"\w[\w.-]*")
"""A node's name is that of a folder, and shown."""


@dataclass(frozen=True, slots=True)
class Link:
    """One port of one node that others reach through the cluster's network process."""

    node: str
    scope: Scope
    """PEERS or CLIENTS."""
    port: int
    """What others connect to."""
    target: int
    """What the node itself listens on."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """How one node is started."""

    name: str
    argv: tuple[str, ...]
    ports: Mapping[str, int]
    """The ports that the node listens on, by what they are for."""
    after: tuple[str, ...] = ()
    """Nodes that are started before this one (TiKV's stores wait for PD)."""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole embedded cluster."""

    subject: str
    nodes: tuple[NodeSpec, ...]
    links: tuple[Link, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    """What the subject wants to find again, e.g. the binary's version."""

    def spec(self, name: str) -> NodeSpec:
        """Return the node's spec; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def link(self, name: str, scope: Scope) -> Link:
        """Return the node's link for that traffic; KeyError if there is none."""
        for link in self.links:
            if link.node == name and link.scope == scope:
                return link
        raise KeyError((name, scope))


def save(layout: Layout, folder: Path) -> None:
    """Write `cluster.json`."""
    write_json(folder / FILE, {"version": VERSION, **asdict(layout)})


def load(folder: Path) -> Layout | None:
    """Read `cluster.json`; None when the folder holds no cluster. Errors: `read_layout`."""
    return read_layout(folder / FILE, VERSION, _layout)


def _layout(raw: Mapping[str, Any]) -> Layout:
    return Layout(
        subject=raw["subject"],
        nodes=tuple(
            NodeSpec(
                _name(n["name"]),
                tuple(_text(word) for word in n["argv"]),
                {name: _port(port) for name, port in n["ports"].items()},
                tuple(n["after"]),
                {name: _text(value) for name, value in n["env"].items()},
            )
            for n in raw["nodes"]
        ),
        links=tuple(
            Link(k["node"], Scope(k["scope"]), _port(k["port"]), _port(k["target"])) for k in raw["links"]
        ),
        options={name: _text(value) for name, value in raw["options"].items()},
    )


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(text)
    return text


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _port(number: int) -> int:
    if not 0 < number < 65_536:
        raise ValueError(number)
    return number
