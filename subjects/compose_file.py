"""A compose file that the person names: there, and a file."""

from pathlib import Path

from subjects.errors import BadSetup


def check_compose_file(path: Path) -> None:
    """Raise BadSetup unless there is such a file; the message says where to run from."""
    if not path.is_file():
        raise BadSetup(
            f"The compose file {path} is not there (looked for it from {Path.cwd()}). "
            "Run operator from the folder that it is relative to, or give its full path."
        )
