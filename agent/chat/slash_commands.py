"""Slash commands: what a person can do without the model. The docstring of each is its help."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.events import Text
from agent.mode import Mode
from agent.view.base import View
from agent.view.records import in_words, tables
from agent.view.words import answerer, one_line
from subjects.untrusted import read_leading_object
from tools.errors import ToolError
from tools.events import Failed, Notice, Table

if TYPE_CHECKING:
    from agent.sessions.session import Session


class Quit(Exception):
    """The person leaves."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What a command has before it."""

    session: "Session"
    view: View
    argument: str


Values = Callable[["Session"], Iterable[str]]
Run = Callable[[CommandContext], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    run: Run
    values: Values
    """What its argument may be, for completion."""

    @property
    def help(self) -> str:
        """What it does, in a sentence."""
        return (self.run.__doc__ or "").strip()


COMMANDS: dict[str, Command] = {}


def command(values: Values = lambda _: ()) -> Callable[[Run], Run]:
    """Declare the function below as the command of that name."""

    def declare(function: Run) -> Run:
        COMMANDS[function.__name__] = Command(function, values)
        return function

    return declare


async def run(line: str, session: "Session | None", view: View) -> None:
    """Run the command that `line` names; what it finds is shown. Raises Quit, AgentError, ToolError."""
    name, _, argument = line.removeprefix("/").partition(" ")
    if name in ("quit", "exit", "q"):
        raise Quit
    if name in ("help", "?", ""):
        view.show(help_table())
        return
    known = COMMANDS.get(name)
    if known is None:
        near = [f"/{other}" for other in COMMANDS if name and other.startswith(name[0])]
        hint = f" Did you mean {' or '.join(near)}?" if near else " /help lists them."
        view.show(Failed(f"There is no command /{one_line(name, 40)}.{hint}"))
        return
    if session is None:
        view.show(Failed(f"/{name} needs the session, which is not open. Ask anything to open it again."))
        return
    await known.run(CommandContext(session, view, argument.strip()))


def completions(before: str, session: "Session | None") -> Iterator[tuple[str, str]]:
    """Yield what the last word of a line that begins with `/` may become, and what it is."""
    name, space, _ = before.removeprefix("/").partition(" ")
    if not space:
        yield from (
            (f"/{each}", COMMANDS[each].help if each in COMMANDS else about) for each, about in _names()
        )
        return
    known = COMMANDS.get(name)
    if known is not None and session is not None:
        yield from ((value, "") for value in known.values(session))


def help_table() -> Table:
    """Return the help."""
    rows = [(f"/{name}", about) for name, about in _names()]
    keys = (
        ("Enter", "send; after \\ or with Alt: a new line"),
        ("Ctrl-C", "stop what runs; twice: abandon it. At the prompt: clear, then leave"),
        ("Shift-Tab", "next mode: read-only, ask, auto"),
        ("Ctrl-R", "search what was entered before"),
    )
    return Table("", ("", "what it does"), (*rows, *keys))


def _names() -> Iterator[tuple[str, str]]:
    yield "help", "Show this."
    yield from ((name, each.help) for name, each in COMMANDS.items())
    yield "quit", "Leave."


async def _shown(at: CommandContext, tool: str, exclude: Sequence[str] = ()) -> None:
    """Run a reading tool and show what it found, without the fields `exclude`, which other fields tell."""
    outcome = await at.session.run_tool(tool, {})
    if not outcome.ok:
        at.view.show(Failed(one_line(outcome.data.get("error") or outcome.text)))
        return
    shown = list(tables(outcome.data, exclude))
    for event in shown or [Notice("Nothing yet.")]:
        at.view.show(event)


@command()
async def status(at: CommandContext) -> None:
    """Show the cluster: its nodes, their roles and states."""
    now = at.session.status()
    who = answerer(now.driver, now.model)
    at.view.show(Notice(f"{who} · mode {now.mode.value} · session {at.session.id}"))
    await _shown(at, "cluster_status")


@command()
async def tools(at: CommandContext) -> None:
    """List the tools that the model has, and what each does to the world."""
    rows = tuple(
        (name, tool.effect.value, _sentence(tool.description)) for name, tool in at.session.tools.items()
    )
    at.view.show(Table("", ("tool", "effect", "what it does"), rows))


@command(lambda _: tuple(Mode))
async def mode(at: CommandContext) -> None:
    """Show or set what may run without asking: read-only, ask or auto."""
    if at.argument:
        if at.argument not in tuple(Mode):
            at.view.show(Failed(f"There is no mode {at.argument!r}: {', '.join(Mode)}."))
            return
        at.session.set_mode(Mode(at.argument))
    at.view.show(Notice(f"Mode: {at.session.mode.value}"))


@command(lambda session: session.models)
async def model(at: CommandContext) -> None:
    """Show or change who answers."""
    if at.argument:
        at.view.show(Notice(await at.session.use_model(at.argument)))
        return
    now = at.session.status()
    who = answerer(now.driver, now.model)
    at.view.show(Notice(f"{who}. To change it: /model {' | '.join(at.session.models) or 'NAME'}"))


@command(lambda session: [item.id for item in session.ledger])
async def show(at: CommandContext) -> None:
    """Show one piece of evidence whole: /show E7."""
    found = at.session.ledger.get(at.argument.upper()) if at.argument else None
    if found is None:
        at.view.show(Failed(f"There is no evidence {at.argument!r}. /evidence lists what there is."))
        return
    at.view.show(
        Notice(
            f"{found.id} · {found.source}{f' · {found.node}' if found.node else ''} · {_clock(found.wall)}"
        )
    )
    value, rest = read_leading_object(found.text)
    for event in tables(value):
        at.view.show(event)
    if rest:
        from agent.sessions.export import fenced

        at.view.show(Text(fenced(rest), done=True))


@command()
async def evidence(at: CommandContext) -> None:
    """List the evidence: its ids, where it came from, how it begins."""
    rows = tuple(
        (item.id, _clock(item.wall), item.source, item.node or "", one_line(in_words(item.text), 80))
        for item in at.session.ledger
    )
    if not rows:
        at.view.show(Notice("There is no evidence yet: it comes with tool results and signals."))
        return
    at.view.show(Table("", ("id", "at", "from", "node", "begins"), rows))


@command()
async def timeline(at: CommandContext) -> None:
    """Show what happened, in order: signals, detections, acts."""
    await _shown(at, "timeline")


@command()
async def incidents(at: CommandContext) -> None:
    """List the incidents so far."""
    await _shown(at, "incident_list", exclude=("reopened", "nodes"))


@command()
async def cost(at: CommandContext) -> None:
    """Show what the session has used: context, tokens, money."""
    now = at.session.status()
    if now.driver == "playbook":
        at.view.show(Notice("Offline mode: no model, no tokens, no cost."))
        return
    window = (
        f"{now.context_tokens:,} of {now.context_limit:,}" if now.context_limit else f"{now.context_tokens:,}"
    )
    money = "not known" if now.cost_usd is None else f"${now.cost_usd:.4f}"
    at.view.show(Notice(f"context {window} tokens · {now.tokens:,} tokens in all · cost {money}"))


@command()
async def compact(at: CommandContext) -> None:
    """Replace what was said by a summary, to make room in the context."""
    if not await at.session.compact():
        at.view.show(Notice("There was nothing to gain by compacting."))


@command()
async def resume(at: CommandContext) -> None:
    """Go on with an earlier session: /resume ID, or the last one."""
    at.view.show(Notice(await at.session.resume(at.argument)))


@command()
async def export(at: CommandContext) -> None:
    """Write the conversation as Markdown: /export FILE."""
    from agent.sessions.export import as_markdown

    path = Path(at.argument).expanduser() if at.argument else Path(f"operator-{at.session.id}.md")
    try:
        with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(as_markdown(at.session.id, at.session.messages, at.session.ledger))
    except FileExistsError:
        raise ToolError(f"{path} exists already.", "Give another name: /export FILE.") from None
    except OSError as error:
        raise ToolError(f"{path} cannot be written: {error.strerror}.") from error
    at.view.show(Notice(f"Written to {path}."))


@command()
async def clear(at: CommandContext) -> None:
    """Begin a new conversation; the cluster stays as it is."""
    await at.session.clear()
    at.view.show(Notice("A new conversation. The cluster is as it was."))


@command()
async def restore(at: CommandContext) -> None:
    """Heal every fault that is still open."""
    at.view.show(Notice(await at.session.restore()))


def _sentence(description: str) -> str:
    words = " ".join(line for line in description.splitlines() if not line.startswith("#"))
    return one_line(re.split(r"[.:] ", words)[0], 120)


def _clock(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().strftime("%H:%M:%S")
