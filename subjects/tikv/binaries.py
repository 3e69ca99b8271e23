"""The programs of `tikv × process`: given by a variable, or found on PATH."""

import os
import shlex
import shutil
from dataclasses import dataclass

from subjects.errors import BadSetup, NotReady


@dataclass(frozen=True, slots=True)
class Program:
    """One program, and the flags that the environment adds."""

    argv: tuple[str, ...]
    """How it is called: a path, or several words (an interpreter and a script)."""
    flags: tuple[str, ...]


def pd_server() -> Program:
    """Return pd-server; NotReady with the remedy when there is none."""
    return _find("pd-server", "OPERATOR_PD_SERVER", "OPERATOR_PD_FLAGS")


def tikv_server() -> Program:
    """Return tikv-server; NotReady with the remedy when there is none."""
    return _find("tikv-server", "OPERATOR_TIKV_SERVER", "OPERATOR_TIKV_FLAGS")


def go_ycsb() -> Program | None:
    """Return go-ycsb, if there is one: the cluster is of use without."""
    try:
        return _find("go-ycsb", "OPERATOR_GO_YCSB", "OPERATOR_GO_YCSB_FLAGS")
    except NotReady:
        return None


def pd_count() -> int:
    """Return how many PDs to start: OPERATOR_PD_COUNT, 1 or 3 (the default)."""
    given = os.environ.get("OPERATOR_PD_COUNT", "3")
    if given not in ("1", "3"):
        raise BadSetup(f"OPERATOR_PD_COUNT is {given!r}: it must be 1 or 3.")
    return int(given)


def _find(name: str, variable: str, flags: str) -> Program:
    given = os.environ.get(variable)
    argv = shlex.split(given) if given else [name]
    found = shutil.which(argv[0]) if argv else None
    if found is None:
        where = f"{variable} names {given!r}, which cannot be run" if given else f"there is no {name} on PATH"
        raise NotReady(
            f"TiKV on local processes needs {name}, and {where}. Install TiKV's binaries or set {variable}; "
            "or use --runtime docker, or --subject etcd, which needs nothing."
        )
    return Program((found, *argv[1:]), tuple(shlex.split(os.environ.get(flags, ""))))
