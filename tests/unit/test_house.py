"""The house: who may import whom, --help loads nothing heavy, nothing clashes with what others install."""

import ast
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("agent", "tools", "subjects", "prompts")

ONLY_IN: dict[str, frozenset[str]] = {
    **dict.fromkeys(("anthropic", "rich", "prompt_toolkit", "mcp", "click"), frozenset({"agent"})),
    **dict.fromkeys(("docker", "kubernetes", "psutil", "grpc"), frozenset({"subjects"})),
    **dict.fromkeys(("httpx2", "httpx", "aiohttp"), frozenset({"agent", "subjects"})),
}
"""Whose business a library is: the model and the terminal are agent's, databases and runtimes subjects'."""

LAYERS: dict[str, tuple[str, ...]] = {
    "prompts": (),
    "subjects": (),
    "subjects.base": ("subjects.errors",),
    "tools": ("subjects",),
    "tools.observe": ("subjects.base",),
    "tools.diagnosis": ("subjects.base", "tools.observe"),
    "tools.evidence": ("subjects.base", "tools.observe", "tools.incidents"),
    "tools.incidents": ("subjects.base", "tools.observe"),
    "tools.detection": ("subjects.base", "tools.observe", "tools.incidents"),
    "agent": ("tools", "subjects", "prompts"),
}
"""What each part may reach, by whatever way: beside itself and what everyone may."""

EVERYONE = (
    *("tools.errors", "tools.events", "tools.tasks", "tools.tool", "tools"),
    *(
        "subjects.clock",
        "subjects.dial",
        "subjects.errors",
        "subjects.scrub",
        "subjects.untrusted",
        "subjects",
    ),
)
"""Leaves, and packages that import nothing."""


def _modules() -> dict[str, Path]:
    found = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _imports(path: Path) -> Iterator[str]:
    """Everything that a module names in an import, wherever it stands: also for type checking alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in MODULES else node.module


IMPORTS = {module: frozenset(_imports(path)) for module, path in MODULES.items()}
GRAPH = {module: (named & MODULES.keys()) - {module} for module, named in IMPORTS.items()}


def _within(module: str, parts: Iterable[str]) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def _way(module: str, to: Callable[[str], bool]) -> list[str]:
    """Return the shortest way from `module` along imports to one for which `to` holds; empty without one."""
    ways, seen = deque([[module]]), {module}
    while ways:
        way = ways.popleft()
        for nearer in sorted(GRAPH[way[-1]] - seen):
            if to(nearer):
                return [*way, nearer]
            seen.add(nearer)
            ways.append([*way, nearer])
    return []


@pytest.mark.parametrize("part", LAYERS)
def test_a_part_reaches_only_what_it_may(part: str) -> None:
    """Also by way of others: what a workbench knows, whoever imports it could know."""
    allowed = (part, *LAYERS[part])
    wrong = [
        " → ".join(way)
        for module in MODULES
        if _within(module, (part,))
        if (way := _way(module, lambda found: not _within(found, allowed) and found not in EVERYONE))
    ]

    assert wrong == []


def test_the_parts_that_are_held_are_there() -> None:
    """Else a part that was renamed would be held to nothing."""
    assert [part for part in LAYERS if part not in MODULES] == []
    assert len(GRAPH["tools.workbench"]) > 5
    assert _way("tools.workbench", lambda found: found == "tools.faults.journal")


def test_nothing_that_sees_or_concludes_reaches_a_fault() -> None:
    seeing = ("tools.observe", "tools.detection", "tools.diagnosis", "tools.incidents", "tools.evidence")
    ways = [
        " → ".join(way)
        for module in MODULES
        if _within(module, seeing)
        if (way := _way(module, lambda found: _within(found, ("tools.faults", "tools.workbench"))))
    ]

    assert ways == []


def test_no_module_is_imported_by_what_it_imports() -> None:
    circles = [" → ".join(way) for module in MODULES if (way := _way(module, module.__eq__))]

    assert circles == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_only_where_it_belongs(library: str) -> None:
    wrong = [
        module
        for module, named in IMPORTS.items()
        if module.split(".")[0] not in ONLY_IN[library] and _within(library, {n.split(".")[0] for n in named})
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
