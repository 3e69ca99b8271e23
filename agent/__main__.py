"""The way in: `operator`, and `python -m agent`."""

import os
import signal
import sys

from agent.exit_codes import ExitCode


def main() -> None:
    """Run the command line. A Ctrl-C before a command has its own handler is answered in a line, too."""
    signal.signal(signal.SIGINT, _interrupted)
    from agent.commands.root import main as command_line

    command_line()


def _interrupted(_number: int, _frame: object) -> None:
    sys.stderr.write("Interrupted\n")
    sys.stderr.flush()
    os._exit(ExitCode.FAILED if "demo" in sys.argv else ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()
