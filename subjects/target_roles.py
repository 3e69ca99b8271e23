"""The roles that can be the target of a fault, by database; known without a cluster."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from subjects import databases
from subjects.base.targets import RANDOM


@cache
def target_roles(*names: str) -> Mapping[str, str]:
    """Return each role and its description, of the databases in `names`, or of all."""
    modules = (import_module(f"subjects.{name}.targets") for name in names or databases())
    return {RANDOM: "a random store"} | {role.name: role.words for m in modules for role in m.TARGETS}


def roles_help() -> str:
    """Return all roles for `--help`; a role that only one database has is followed by its name."""
    own = {name: target_roles(name) for name in databases()}
    return ", ".join(
        role
        if len(having := [name for name in own if role in own[name]]) == len(own)
        else f"{role} ({having[0]})"
        for role in target_roles()
    )


def default_help() -> str:
    """Return the default target for `--help`, and the databases that have another one."""
    usual = {name: str(import_module(f"subjects.{name}.targets").USUAL_TARGET) for name in databases()}
    return "; ".join((RANDOM, *(f"{name}: {role}" for name, role in usual.items() if role != RANDOM)))
