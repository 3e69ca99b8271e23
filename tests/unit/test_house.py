"""The house: imports point one way, --help loads nothing heavy, nothing clashes with what others install."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("agent", "tools", "subjects", "prompts")

MAY_NOT_IMPORT = {
    "subjects": {"agent", "tools", "prompts", "anthropic", "rich", "prompt_toolkit", "mcp", "click"},
    "tools": {"agent", "anthropic", "docker", "httpx2", "httpx", "aiohttp", "rich", "prompt_toolkit", "mcp"},
    "agent": {"docker"},
    "prompts": {"agent", "tools", "subjects"},
}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name.split(".")[0]) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module.split(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in (ROOT / room).rglob("*.py")
        for line, name in imports(path)
        if name in MAY_NOT_IMPORT[room]
    ]

    assert wrong == []


def test_help_loads_nothing_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "agent", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in ran.stderr.splitlines() if "|" in line}
    heavy = {
        "anthropic",
        "docker",
        "prompt_toolkit",
        "rich",
        "httpx2",
        "aiohttp",
        "pydantic",
        "mcp",
        "asyncio",
    }
    assert "chaos demo" in ran.stdout
    assert loaded & heavy == set()


def test_no_dependency_ships_our_package_names() -> None:
    owners = packages_distributions()

    assert {name: set(owners.get(name, [])) - {"chaos-operator"} for name in ROOMS} == {
        name: set() for name in ROOMS
    }


def test_the_monitor_knows_nothing_of_faults() -> None:
    """The detector never reads the fault journal: it cannot even name it."""
    for path in (ROOT / "tools" / "detection").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "tools.faults" not in text, path
        assert "journal" not in text.replace("fault journal", ""), path
