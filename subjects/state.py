"""The state folder: where everything that outlives a run is kept, mode 0700."""

import os
from dataclasses import dataclass
from pathlib import Path

from subjects.errors import NotReady


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The paths inside one state folder."""

    root: Path

    @property
    def database(self) -> Path:
        """The journal of faults and the incidents (SQLite)."""
        return self.root / "operator.db"

    @property
    def sessions(self) -> Path:
        """Transcripts, one `ID.jsonl` each."""
        return self.root / "sessions"

    @property
    def clusters(self) -> Path:
        """Data, logs and pids of embedded clusters, a folder each."""
        return self.root / "clusters"


def open_state(given: Path | None = None, *, to_read: bool = False) -> StateFolder:
    """Return the state folder: `given`, else `OPERATOR_STATE_DIR`, else the platform's; made if missing.

    Raises NotReady when it can't be made or written to; `to_read`, one that is there is enough.
    """
    root = given or state_root()
    if to_read and root.is_dir() and not os.access(root, os.W_OK):
        return StateFolder(root.resolve())
    try:
        str(root).encode()
    except UnicodeEncodeError as error:
        raise NotReady(
            "The state folder's name is not valid UTF-8. Give another with --state-dir or OPERATOR_STATE_DIR."
        ) from error
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A volume belongs to whoever mounted it, and a folder that holds other things to others, too.
        if root.stat().st_uid == os.geteuid() and not any(root.iterdir()):
            root.chmod(0o700)
        folder = StateFolder(root.resolve())
        for part in (folder.sessions, folder.clusters):
            part.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        found = "it is not a folder" if error.filename == str(root) else f"{error.filename} is not a folder"
        reason = found if isinstance(error, FileExistsError) else error.strerror
        raise NotReady(
            f"The state folder {root} cannot be used: {reason}. "
            "Give another one with --state-dir or OPERATOR_STATE_DIR."
        ) from error
    if not os.access(folder.root, os.W_OK):
        raise NotReady(
            f"The state folder {root} cannot be written. Give another with --state-dir or OPERATOR_STATE_DIR."
        )
    return folder


def state_root() -> Path:
    """Return where the state folder is, or would be made: `OPERATOR_STATE_DIR`, else the platform's."""
    if value := os.environ.get("OPERATOR_STATE_DIR"):
        return Path(value)
    from platformdirs import user_state_path

    try:
        return user_state_path("chaos-operator")
    except RuntimeError as error:  # no HOME, and nobody in the list of users
        raise NotReady(
            "There is no home folder to keep state in. Give a folder with --state-dir or OPERATOR_STATE_DIR."
        ) from error
