"""What the documents tell to type is what the program takes, and what they name is there."""

import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from agent.commands.examples import EXAMPLES
from agent.commands.root import cli

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TYPED = [
    ROOT / "README.md",
    ROOT / "docs" / "quickstart.md",
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
"""Pages whose command lines people copy."""
_INLINE = re.compile(r"`((?:\.venv/bin/)?operator [^`]+)`")
_BLOCK = re.compile(r"^ {4,}(?:curl [^|]*\| )?((?:\.venv/bin/)?operator(?: .*)?)$", re.MULTILINE)
_LINK = re.compile(
    r"(?<![\w/.<-])((?:\.\./|docs/|how-to/|packaging/|tests/|tools/|agent/|subjects/)[\w./-]+\.\w{2,10})\b"
)


def commands() -> Iterator[tuple[str, str]]:
    """Every command line of `operator` in those pages, with its page."""
    for page in TYPED:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for found in (*_BLOCK.findall(text), *_INLINE.findall(text)):
            yield page.relative_to(ROOT).as_posix(), found.partition("  #")[0].strip()
    for path, lines in EXAMPLES.items():
        yield from ((f"{path} --help", line.partition(" -- ")[2] or line) for line in lines)


def parsed(group: click.Command, name: str, words: list[str], parent: click.Context | None) -> None:
    """Parse a command line as the program does, and run nothing."""
    context = group.make_context(name, list(words), parent=parent)
    if isinstance(group, click.Group) and (rest := context._protected_args + context.args):
        called, command, left = group.resolve_command(context, rest)
        assert command is not None
        parsed(command, called or "", left, context)


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_every_command_in_the_documents_is_one_that_operator_takes(
    page: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my.yaml", "before.json", "after.json", "ca.pem"):
        (tmp_path / name).write_text("services: {}\n")
    line = re.sub(r"\s+[|<>] .*$", "", line).replace("…", "http://127.0.0.1:2379")
    words = shlex.split(line)[1:]
    if any(word in {"ID", "NODE", "NAME", "FILE", "FAULT"} or "[" in word for word in words):
        pytest.skip("a pattern, not an example")

    parsed(cli, "operator", words, None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_document_names_is_there(page: Path) -> None:
    named = set(_LINK.findall(page.read_text(encoding="utf-8"))) - files_of(page).keys()

    places = (page.parent, ROOT, ROOT / "docs")
    missing = {name for name in named if not any((place / name).exists() for place in places)}
    assert missing == set()


def files_of(page: Path) -> dict[str, str]:
    """Return the files that a page has whole: indented blocks whose first line is `# PATH`."""
    blocks = re.findall(r"^    # (\S+\.\w+)\n((?:    .*\n|\n)+)", page.read_text(encoding="utf-8"), re.M)
    return {path: textwrap.dedent(body) for path, body in blocks}


def with_files(folder: Path, files: dict[str, str], check: str) -> str:
    """Run `check` in a copy of the product that has these files, too; return what it prints."""
    for room in ("agent", "tools", "subjects", "prompts"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).parent.joinpath("__init__.py").touch()
        (folder / path).write_text(text, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", check], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    return ran.stdout


def test_the_tool_in_the_documents_is_found_as_it_stands(tmp_path: Path) -> None:
    files = files_of(ROOT / "docs" / "adding-a-tool.md")
    check = (
        "from tools.registry import load_tools; found = load_tools()['data_size']; "
        "print(found.effect.value, sorted(found.schema['properties']), found.description[:24])"
    )

    assert files.keys() == {"tools/sizes/tools.py", "tools/sizes/data_size.md"}
    assert with_files(tmp_path, files, check) == "read ['node'] Return the size of one n\n"


def test_the_fault_in_the_documents_is_offered_as_it_stands(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "adding-a-fault.md").read_text(encoding="utf-8")
    function, row = (textwrap.dedent(found) for found in re.findall(r"(?:^    .*\n)+", page, re.M)[:2])
    catalogue = (ROOT / "tools" / "faults" / "catalogue.py").read_text(encoding="utf-8")
    head, mark, tail = catalogue.partition("CATALOGUE: Mapping")
    tail = tail.replace("    for fault in (\n", f"    for fault in (\n{textwrap.indent(row, ' ' * 8)}", 1)
    files = {"tools/faults/catalogue.py": f"{head}{function}\n\n{mark}{tail}"}
    check = (
        "from tools.faults.catalogue import CATALOGUE; fault = CATALOGUE['mute']; "
        "print(fault.meaning, '|', fault.undo, '|', *fault.diagnoses)"
    )

    assert with_files(tmp_path, files, check) == (
        "nothing that the node says gets out | remove the network rule | partition\n"
    )
