"""The folder that operator keeps things in, as others hand it over."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from subjects.state import open_state
from tools.incidents.store import IncidentStore


@pytest.fixture
def volume() -> Iterator[Path]:
    """A folder that anybody may write and root owns, as Kubernetes mounts an emptyDir."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def test_a_folder_of_operators_own_is_nobody_elses_to_read(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)

    state = open_state(tmp_path / "state")

    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700


def test_a_folder_that_holds_other_things_stays_as_open_as_it_is_and_what_is_added_is_private(
    tmp_path: Path,
) -> None:
    """`--state-dir .`, or /tmp by root."""
    tmp_path.chmod(0o755)
    (tmp_path / "of-others").touch()

    state = open_state(tmp_path)
    IncidentStore(state.database).close()

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert [
        stat.S_IMODE(path.stat().st_mode) for path in (state.sessions, state.clusters, state.database)
    ] == [
        0o700,
        0o700,
        0o600,
    ]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, who can be another user: run it with sudo")
def test_a_mounted_volume_that_another_user_owns_is_used_as_it_is(volume: Path) -> None:
    os.seteuid(65532)
    try:
        state = open_state(volume)
        assert state.sessions.is_dir()
    finally:
        os.seteuid(0)

    assert stat.S_IMODE(volume.stat().st_mode) == 0o777
