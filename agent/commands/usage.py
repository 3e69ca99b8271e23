"""Wrong usage in one line: what was wrong, what was meant perhaps, and whose help says more."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from agent.exit_codes import ExitCode


class WrongUsage(click.ClickException):
    """A command line that cannot be run."""

    exit_code = int(ExitCode.WRONG_USAGE)

    def __init__(self, error: click.UsageError) -> None:
        said = error.format_message().rstrip(".")
        said = said if said.endswith(("?", "!")) else f"{said}."
        path = error.ctx.command_path if error.ctx else "operator"
        super().__init__(f"{said} See `{path} --help`.")

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        click.echo(f"Error: {' '.join(self.format_message().split())}", file=file, err=file is None)


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turn click's three lines into one; a group without a command still shows its help."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise WrongUsage(error) from None
