"""What every command shares: options, state folder, output, signals, errors, result line and exit code."""

import functools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec

import click

from agent.commands.parameters import Number, WordedOption
from subjects import RUNTIMES, databases

if TYPE_CHECKING:
    from typing import Concatenate

    from agent.setup import Setup
    from agent.view.base import View
    from tools.workbench import Choice

P = ParamSpec("P")
Result = dict[str, Any]
"""The last line of a command, as `--output json` prints it; `ok` and `command` are added where missing.

`exit_code` in it, which is not printed, is the exit code in place of 0 or 1 by `ok`.
"""

_PATH = click.Path(path_type=Path)

_SHARED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--model", {"metavar": "NAME", "help": "Claude model; opus, sonnet, haiku, fable for short."}),
    ("--provider", {"type": click.Choice(["api", "bedrock", "vertex"]), "help": "Where Claude is reached."}),
    ("--compat", {"is_flag": True, "help": "Plain Messages API only, for compatible servers."}),
    ("--offline", {"is_flag": True, "help": "Offline mode: a script in place of Claude."}),
    ("--max-cost", {"type": Number(0, min_open=True), "metavar": "USD", "help": "The session's budget."}),
    ("--yes", {"is_flag": True, "help": "Run what acts without asking."}),
    (
        "--subject",
        {"type": click.Choice(["auto", *databases()]), "show_default": "auto", "help": "The database."},
    ),
    (
        "--runtime",
        {"type": click.Choice(["auto", *RUNTIMES]), "show_default": "auto", "help": "Where its nodes run."},
    ),
    (
        "--compose-file",
        {"type": _PATH, "show_default": "the one that ships", "help": "Use this Compose file."},
    ),
    ("--context", {"metavar": "NAME", "help": "Kubernetes: the kubeconfig's context to use."}),
    ("--namespace", {"metavar": "NAME", "help": "Kubernetes: where its pods are."}),
    (
        "--allow-context",
        {"metavar": "NAME", "multiple": True, "help": "Kubernetes: this context may be used, too."},
    ),
    (
        "--image",
        {
            "metavar": "NAME=IMAGE",
            "multiple": True,
            "help": "Kubernetes: an image; NAME is etcd, pd, tikv or helper.",
        },
    ),
    ("--statefulset", {"metavar": "NAME", "help": "Kubernetes: the pods of this StatefulSet, read-only."}),
    (
        "--tidbcluster",
        {"metavar": "NAME", "help": "Kubernetes: PD and TiKV as TiDB Operator made them, read-only."},
    ),
    ("--selector", {"metavar": "LABELS", "help": "Kubernetes: the pods with these labels, read-only."}),
    (
        "--load",
        {
            "type": click.Choice(["auto", "operator", "go-ycsb"]),
            "show_default": "auto",
            "help": "Which program makes the load.",
        },
    ),
    (
        "--output",
        {
            "type": click.Choice(["text", "json", "stream-json"]),
            "show_default": "text",
            "help": "How results are printed.",
        },
    ),
    (
        "--state-dir",
        {"type": click.Path(path_type=Path, file_okay=False), "help": "Where state is kept."},
    ),
)
_OPTIONS = {flag.removeprefix("--").replace("-", "_"): (flag, attributes) for flag, attributes in _SHARED}

MODEL = ("model", "provider", "compat", "offline", "max_cost")
"""Options of commands that a model may answer."""
CONSENT = ("yes",)
"""Options of commands that ask before they act."""
CLUSTER = ("subject", "runtime", "compose_file", "context", "namespace", "allow_context", "image")
"""Options of commands that work on a cluster: which one."""
PODS = ("statefulset", "tidbcluster", "selector")
"""Options of commands that look at pods which somebody else runs: which ones."""
LOAD = ("load",)
"""Options of commands that put load on the cluster."""
_COMMON = ("output", "state_dir")
_ACCEPTED = (*MODEL, *CONSENT, *_COMMON)
"""Taken by every command, so that scripts can give the same to all; shown where they mean something."""


def command(
    *options: str,
    listing: bool = False,
    interrupted: str = "Interrupted",
    interrupted_code: int | None = None,
    to_stderr: bool = False,
) -> "Callable[[Callable[Concatenate[Setup, View, P], Awaitable[Result]]], Callable[..., None]]":
    """Make a click callback of an async function that does a command's work and returns its `result`.

    `options` names the shared options that are shown (MODEL, CONSENT, CLUSTER, PODS, LOAD). The function
    gets the Setup, the View and its own options, without those that are fields of Setup. With `listing` the
    tables that it shows are the answer. `interrupted` is what Ctrl-C prints, `interrupted_code` the exit code
    after any signal in place of 128 and its number. `to_stderr` keeps standard output free.
    """

    def decorate(
        work: "Callable[Concatenate[Setup, View, P], Awaitable[Result]]",
    ) -> Callable[..., None]:
        @click.pass_context
        def callback(context: click.Context, /, **given: Any) -> None:
            if context.invoked_subcommand is None:
                run_work(
                    context,
                    given,
                    work,
                    listing=listing,
                    interrupted=interrupted,
                    interrupted_code=interrupted_code,
                    stream=sys.stderr if to_stderr else None,
                )

        wrapped = functools.update_wrapper(callback, work)
        own = list(getattr(work, "__click_params__", ()))
        wrapped.__click_params__ = [*reversed(shared(*options)), *own]  # type: ignore[attr-defined]
        return wrapped

    return decorate


def run_work(
    context: click.Context, given: dict[str, Any], work: Callable[..., Awaitable[Result]], **how: Any
) -> NoReturn:
    """Do a command's work with the options given and exit with its code; `how` goes to agent.running."""
    from agent.running import run

    setup, own = make_setup(context, given)

    async def body(view: "View") -> Result:
        return {"ok": True, "command": setup.command, **await work(setup, view, **own)}

    sys.exit(run(setup, body, **how))


def shared(*shown: str) -> list[click.Option]:
    """Return the options that all commands take and those of `shown`; the others are hidden."""
    names = [name for name in _OPTIONS if name in (*shown, *_ACCEPTED)]
    hidden = {name: name not in (*shown, *_COMMON) for name in names}
    return [WordedOption([_OPTIONS[name][0]], hidden=hidden[name], **_OPTIONS[name][1]) for name in names]


def make_setup(context: click.Context, given: dict[str, Any]) -> "tuple[Setup, dict[str, Any]]":
    """Merge the options given before and after the command's name, the nearest wins; return the rest apart.

    Raises click's errors for a compose file that isn't there.
    """
    from dataclasses import fields

    from agent.setup import Setup

    merged = {name: value for name in _OPTIONS if (value := _nearest(context, name))}
    choice = _choice({name: merged.pop(name, None) for name in (*CLUSTER, *PODS, *LOAD)})
    settings = {field.name for field in fields(Setup)}
    own = {name: value for name, value in given.items() if name not in _OPTIONS}
    more = {name: own.pop(name) for name in settings & own.keys()}
    command_name = context.command_path.partition(" ")[2] or "prompt"
    setup = Setup(
        command=command_name, max_cost_usd=merged.pop("max_cost", None), choice=choice, **merged, **more
    )
    return setup, own


def _nearest(context: click.Context, name: str) -> Any:
    at: click.Context | None = context
    while at is not None:
        if at.params.get(name):
            return at.params[name]
        at = at.parent
    return None


def _choice(given: dict[str, Any]) -> "Choice":
    from subjects.runtimes.kubernetes.options import KubernetesOptions
    from tools.workbench import Choice

    compose_file = given["compose_file"]
    if compose_file is not None and not compose_file.is_file():
        raise click.ClickException(
            f"The compose file {compose_file} is not there (looked for it from {Path.cwd()}). "
            "Run operator from the folder that it is relative to, or give its full path."
        )
    pods = {name: given[name] for name in ("context", "namespace", *PODS)}
    named = [f"--{name}" for name, value in pods.items() if value is not None]
    if named and given["runtime"] not in (None, "auto", "kubernetes"):
        raise click.UsageError(f"{named[0]} goes with --runtime kubernetes.")
    which = [f"--{name}" for name in PODS if pods[name]]
    if len(which) > 1:
        raise click.UsageError(f"{' and '.join(which)} are {len(which)} ways to say the same: give one.")
    subject = given["subject"] or "auto"
    if pods["tidbcluster"] and subject not in ("auto", "tikv"):
        raise click.UsageError(f"--tidbcluster is TiKV's: it does not go with --subject {subject}.")
    return Choice(
        "tikv" if pods["tidbcluster"] else subject,
        "kubernetes" if named else given["runtime"] or "auto",
        compose_file,
        given["load"] or "auto",
        KubernetesOptions(
            **pods, allowed=tuple(given["allow_context"] or ()), images=_images(given["image"] or ())
        ),
    )


def _images(given: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=IMAGE pairs."""
    pairs = {each: each.partition("=") for each in given}
    if bad := [each for each, parts in pairs.items() if not all(parts)]:
        raise click.UsageError(f"--image takes NAME=IMAGE, as etcd=my/etcd:3.5: {bad[0]!r} is none.")
    return {name: image for name, _, image in pairs.values()}
