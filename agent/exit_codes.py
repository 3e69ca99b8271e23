"""What the exit code of `operator` says; docs/reference.md has the table for users."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes. A command that a signal ended exits with 128 and the signal's number, as shells do."""

    DONE = 0
    FAILED = 1
    """It failed, or the environment is not ready; also an interrupted demo."""
    WRONG_USAGE = 2
    NOT_HEALTHY = 3
    """`deploy status` found a cluster that is degraded or down."""
    TRY_LATER = 75
    """The model's service is overloaded or limited (EX_TEMPFAIL of sysexits.h)."""
    INTERRUPTED = 130
    """Ctrl-C."""
