"""After SIGKILL the OOM killer is asked for, and what cannot be known is not said."""

from pathlib import Path

import pytest

from subjects.runtimes.oom import oom_killed, oom_kills


@pytest.fixture
def vmstat(tmp_path: Path) -> Path:
    path = tmp_path / "vmstat"
    path.write_text("pgfault 12\noom_kill 3\n")
    return path


def test_a_count_that_did_not_move_rules_it_out(vmstat: Path) -> None:
    assert oom_killed(41, 3, vmstat) is False


def test_a_count_that_moved_is_no_proof_without_the_kernels_log(vmstat: Path, tmp_path: Path) -> None:
    assert oom_killed(41, 2, vmstat, tmp_path / "missing") is None


def test_the_kernels_log_names_the_process(vmstat: Path, tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text("3,1,1,-;Out of memory: Killed process 41 (etcd) total-vm:1kB\n")

    assert oom_killed(41, 2, vmstat, log) is True
    assert oom_killed(4, 2, vmstat, log) is None


def test_a_kernel_that_does_not_count_leaves_it_open(tmp_path: Path) -> None:
    assert oom_kills(tmp_path / "missing") is None
    assert oom_killed(41, 0, tmp_path / "missing") is None
