"""The two ways to put load on TiKV: operator's own generator, and go-ycsb for those who ask for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from subjects.base import LoadTarget
from subjects.errors import NotReady

DRIVER = "subjects.tikv.load:TikvDriver"

EXTRA = "chaos-operator[tikv]"
"""What installs grpcio and protobuf, which the driver needs."""


@dataclass(frozen=True, slots=True)
class Loads:
    """How each of them reaches one cluster."""

    operator: LoadTarget
    go_ycsb: LoadTarget

    def choose(self, wanted: str) -> LoadTarget:
        """Return the one that is wanted; `auto` is operator's where that can run. NotReady where it can't."""
        installed = driver_installed()
        if wanted == "go-ycsb" or (wanted == "auto" and not installed):
            return self.go_ycsb
        if not installed:
            raise NotReady(
                f"operator's load needs gRPC for TiKV: pip install '{EXTRA}', or use --load go-ycsb."
            )
        return self.operator


def driver_installed() -> bool:
    """Whether the driver's libraries are here."""
    return find_spec("grpc") is not None and find_spec("google.protobuf") is not None


def operator_load(pds: Sequence[str], reached_at: Mapping[str, str] | None = None) -> LoadTarget:
    """Return how the driver reaches a cluster by its PDs (`host:port` or URLs).

    `reached_at` maps the addresses of stores that PD gives to those that answer here, where they differ.
    """
    return LoadTarget(DRIVER, tuple(pds), {"addresses": json.dumps(dict(reached_at or {}))})
