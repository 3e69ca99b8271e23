"""`operator config`: which settings are in force, and where each comes from."""

import os
from typing import TYPE_CHECKING

import click

from agent.commands.command import CLUSTER, MODEL, Result, command

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View

Row = tuple[str, str, str]

VARIABLES = (
    "OPERATOR_MODEL",
    "OPERATOR_CONFIG",
    "OPERATOR_STATE_DIR",
    "OPERATOR_GO_YCSB",
    "OPERATOR_PD_SERVER",
    "OPERATOR_TIKV_SERVER",
    "ANTHROPIC_BASE_URL",
    "DOCKER_HOST",
    "NO_COLOR",
)
"""Environment variables whose value is shown where they are set; those that hold secrets are not here."""


@click.command()
@command(*MODEL, *CLUSTER, listing=True)
async def config(setup: "Setup", view: "View") -> Result:
    """Show the settings in force, and where each comes from."""
    from agent.models.providers import credentials_found
    from agent.setup import config_file
    from subjects.state import state_root
    from tools.events import Notice, Table

    path = config_file()
    found = credentials_found(setup.provider)
    where = (
        "option" if setup.state_dir else "OPERATOR_STATE_DIR" if os.environ.get("OPERATOR_STATE_DIR") else ""
    )
    rows: list[Row] = [
        ("model", *_model(setup)),
        ("provider", setup.provider, "option" if setup.provider != "api" else "default"),
        ("credentials", "found" if found else "none: offline mode answers", "environment" if found else ""),
        ("database", setup.choice.subject, "option" if setup.choice.subject != "auto" else "default"),
        ("runtime", setup.choice.runtime, "option" if setup.choice.runtime != "auto" else "default"),
        ("state folder", str(setup.state_dir or state_root()), where or "default"),
        ("config file", str(path), "read" if path.is_file() else "not there"),
    ]
    rows += [(name, os.environ[name], "environment") for name in VARIABLES if os.environ.get(name)]
    view.show(Table("Settings", ("setting", "value", "from"), tuple(rows)))
    for key in _unknown_keys(path.is_file()):
        view.show(
            Notice(f"{path}: {key!r} is no setting; `model`, [watch] and [kubernetes] are.", level="warning")
        )
    return {"settings": [dict(zip(("name", "value", "from"), row, strict=True)) for row in rows]}


def _model(setup: "Setup") -> tuple[str, str]:
    from agent.models.catalog import choose
    from agent.setup import configured

    name = choose(setup.model, configured("model"))
    if setup.model:
        return name, "option"
    if os.environ.get("OPERATOR_MODEL"):
        return name, "OPERATOR_MODEL"
    return name, "config file" if configured("model") else "default"


def _unknown_keys(there: bool) -> list[str]:
    from agent.setup import config_values

    return [key for key in config_values() if key not in ("model", "watch", "kubernetes")] if there else []
