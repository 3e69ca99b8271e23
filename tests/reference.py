"""docs/reference.md held against the program: `python -m tests.reference` rewrites its generated parts."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from agent.commands.command import CLUSTER, MODEL
from agent.commands.examples import EXAMPLES
from agent.commands.root import cli
from tools.faults.catalogue import CATALOGUE
from tools.observe.kinds import KINDS, Meaning, Weight

FILE = Path(__file__).parents[1] / "docs" / "reference.md"
MARK = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)
FIELD = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|", re.MULTILINE)
TYPES = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its name, `operator` itself first."""
    yield "operator", cli
    yield from _below("operator", cli)


def _below(path: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _below(f"{path} {name}", command)


def generated(part: str) -> str:
    """Return one generated part."""
    match part:
        case "commands":
            return "\n".join(_command(path, command) for path, command in commands())
        case "faults":
            rows = [
                f"| `{kind}` | {fault.meaning} | {fault.unit or '–'} | "
                f"{f'{fault.default:g}' if fault.unit else '–'} | {fault.undo} |"
                for kind, fault in CATALOGUE.items()
            ]
            head = ["| fault | effect | `--value` | default | undo |", "|---|---|---|---|---|"]
            return "\n".join([*head, *rows, ""])
        case "signals":
            head = ["| source | signal | means | weight | breaks |", "|---|---|---|---|---|"]
            rows = [
                f"| {each.source} | `{kind}` | {each.phrase} | {_weight(each)} | {each.invariant or '–'} |"
                for kind, each in KINDS.items()
            ]
            return "\n".join([*head, *rows, ""])
    raise KeyError(part)


def _weight(meaning: Meaning) -> str:
    times = f", {meaning.needed} times" if meaning.weight is Weight.DOUBTFUL and meaning.needed > 1 else ""
    ends = f": ends {', '.join(f'`{kind}`' for kind in meaning.clears)}" if meaning.clears else ""
    return f"{meaning.weight.name.lower().replace('_', ' ')}{times}{ends}"


def _command(path: str, command: click.Command) -> str:
    usage = " ".join(
        param.metavar or param.make_metavar(click.Context(command))
        for param in command.params
        if isinstance(param, click.Argument)
    )
    lines = [f"### `{f'{path} {usage}'.strip()}`", "", _text(command.help or ""), ""]
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    options = [each for each in options if each.name not in ("version", "help", "output", "state_dir")]
    groups = {"model options": MODEL, "cluster options": CLUSTER} if command is not cli else {}
    also = [name for name, group in groups.items() if any(each.name in group for each in options)]
    options = [each for each in options if not any(each.name in group for group in groups.values())]
    if options:
        lines += ["| option | default | |", "|---|---|---|"]
        lines += [f"| `{_names(each)}` | {_default(each)} | {_text(each.help or '')} |" for each in options]
        lines.append("")
    if also:
        lines += [f"Also the {' and the '.join(also)} of `operator`.", ""]
    lines += [*(f"    {line}" for line in EXAMPLES.get(path, ())), ""]
    return "\n".join(lines)


def _names(option: click.Option) -> str:
    names = ", ".join(option.opts) + ("".join(f"/{name}" for name in option.secondary_opts))
    if option.is_flag:
        return names
    value = option.metavar or option.type.get_metavar(option, click.Context(cli)) or option.type.name.upper()
    return f"{names} {value}".replace("|", "\\|")


def _default(option: click.Option) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    return f"`{option.default}`" if option.show_default and option.default is not None else ""


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def regenerated(document: str) -> str:
    """Return the document with its generated parts as the program has them now."""
    return MARK.sub(
        lambda found: f"<!-- generated: {found[1]} -->\n{generated(found[1])}<!-- end -->\n", document
    )


def exit_codes(document: str) -> dict[int, str]:
    """Return the documented exit codes."""
    return {int(code): name for code, name in re.findall(r"^\| (\d+) \| ([^|]+) \|", document, re.MULTILINE)}


def fields(command: str, document: str) -> dict[str, str]:
    """Return the documented fields of a command's `result`, each with its type."""
    section = document.split(f"\n#### `{command}`", 1)[1].split("\n#", 1)[0]
    return {name: kind.strip() for name, kind in FIELD.findall(section)}


def differences(command: str, result: Mapping[str, Any], document: str) -> list[str]:
    """Return how a real `result` differs from what is documented; empty for one that is as documented."""
    known = {"ok": "boolean", "command": "text", "type": "text", "t": "number", **fields(command, document)}
    found = list(_compare(result, known, ""))
    if not result.get("ok"):
        found = [each for each in found if not each.startswith("undocumented field error")]
    return found


def _compare(value: Mapping[str, Any], known: Mapping[str, str], prefix: str) -> Iterator[str]:
    for name, item in value.items():
        path = f"{prefix}{name}"
        if path not in known:
            yield f"undocumented field {path}"
            continue
        allowed = known[path]
        actual = "null" if item is None else TYPES[type(item)]
        if actual not in re.split(r",? or |, ", allowed.removesuffix(", may be absent")):
            yield f"{path} is {actual}, documented as {allowed}"
        if isinstance(item, dict) and any(each.startswith(f"{path}.") for each in known):
            yield from _compare(item, known, f"{path}.")
        if isinstance(item, list) and any(each.startswith(f"{path}[].") for each in known):
            for each in item:
                yield from _compare(each, known, f"{path}[].")
    direct = re.compile(re.escape(prefix) + r"\w+")
    for path, kind in known.items():
        if (
            direct.fullmatch(path)
            and path.removeprefix(prefix) not in value
            and "absent" not in kind
            and prefix + "t" != path
            and prefix + "type" != path
        ):
            yield f"{path} is documented and not there"


def main() -> None:
    """Write the generated parts again."""
    FILE.write_text(regenerated(FILE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
