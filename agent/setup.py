"""What a person asked for on the command line, in the environment and in the config file, resolved."""

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from subjects.errors import BadSetup
from tools.workbench import Choice

Output = Literal["text", "json", "stream-json"]

LONGEST_CONFIG = 1 << 20
"""Bytes; a device may be given for the file, and has no end."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One run's settings. None and False are `not said`."""

    command: str = "chat"
    state_dir: Path | None = None
    model: str | None = None
    provider: Literal["api", "bedrock", "vertex"] = "api"
    compat: bool = False
    offline: bool = False
    output: Output = "text"
    yes: bool = False
    max_cost_usd: float | None = None
    choice: Choice = field(default_factory=Choice)
    seed: int | None = None
    allow_quorum_loss: bool = False
    keep: bool = False


def configured(name: str) -> str | None:
    """Return a setting of the config file, if it says one. Raises BadSetup for a file that is not TOML."""
    value = config_values().get(name)
    return value if isinstance(value, str) else None


def config_values() -> dict[str, Any]:
    """Return what the config file says; empty where there is none.

    Raises BadSetup if it is not TOML, or is named by OPERATOR_CONFIG and cannot be read.
    """
    try:
        path = config_file()
        if path.is_fifo():  # it is read more than once, and opening it could wait for ever
            raise BadSetup(f"{path} is a pipe: copy it to a file.")
        with path.open("rb") as file:
            text = file.read(LONGEST_CONFIG).decode("utf-8-sig")
    except (FileNotFoundError, RuntimeError):  # RuntimeError: there is no home folder to look in
        return {}
    except OSError as error:
        if "OPERATOR_CONFIG" not in os.environ:
            return {}  # the home folder of somebody else
        raise BadSetup(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadSetup(f"{path} is not valid UTF-8: {error.reason}.") from error
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadSetup(f"{path} is not valid TOML: {error}.") from error


def allowed_contexts(choice: Choice) -> tuple[str, ...]:
    """Return the contexts of Kubernetes that may be used, by the command line and by the config file.

    Raises BadSetup for a file that is not TOML, or says something else there.
    """
    table = config_values().get("kubernetes") or {}
    found = table.get("allow_contexts", []) if isinstance(table, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadSetup(f'{config_file()}: [kubernetes] takes allow_contexts = ["NAME", …].')
    return (*choice.kubernetes.allowed, *found)


def config_file() -> Path:
    """Return where the config file is, or would be: OPERATOR_CONFIG, else in the platform's folder."""
    given = os.environ.get("OPERATOR_CONFIG")
    if given:
        return Path(given)
    from platformdirs import user_config_path

    return user_config_path("chaos-operator") / "config.toml"


def version() -> str:
    """Return the installed version."""
    from importlib.metadata import version as installed

    return installed("chaos-operator")
