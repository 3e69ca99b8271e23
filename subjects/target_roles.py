"""The roles that a fault may be aimed at, by the names of databases: known without a cluster."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from subjects import databases
from subjects.base.targets import RANDOM


@cache
def target_roles(*names: str) -> Mapping[str, str]:
    """Return role → in words, of the databases called `names`, or of all."""
    modules = (import_module(f"subjects.{name}.targets") for name in names or databases())
    return {RANDOM: "a random store"} | {role.name: role.words for m in modules for role in m.TARGETS}


def told_roles() -> str:
    """Return the roles of all databases as a help has them, those of one alone with its name."""
    own = {name: target_roles(name) for name in databases()}
    return ", ".join(
        role
        if len(having := [name for name in own if role in own[name]]) == len(own)
        else f"{role} ({having[0]})"
        for role in target_roles()
    )


def told_usual() -> str:
    """Return whom a fault is aimed at when nobody says whom, with the databases where that is a role."""
    usual = {name: str(import_module(f"subjects.{name}.targets").USUAL_TARGET) for name in databases()}
    return "; ".join((RANDOM, *(f"{name}: {role}" for name, role in usual.items() if role != RANDOM)))
