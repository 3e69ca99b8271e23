"""How long a limit on its CPU held a process back, as the kernel keeps it."""

from pathlib import Path

import pytest

from subjects.runtimes.cgroup import throttled_s

V1 = "nr_periods 45\nnr_throttled 45\nthrottled_time 8140000000\n"
V2 = "usage_usec 9\nnr_periods 45\nnr_throttled 45\nthrottled_usec 8140000\n"


def machine(folder: Path, version: int, stat: str | None) -> tuple[Path, Path]:
    """Return a `/proc` and a `/sys/fs/cgroup` with process 7 in the group `docker/abc`."""
    proc, root = folder / "proc", folder / "cgroup"
    (proc / "7").mkdir(parents=True)
    groups = "0::/docker/abc\n" if version == 2 else "3:memory:/docker/abc\n5:cpu,cpuacct:/docker/abc\n"
    (proc / "7" / "cgroup").write_text(groups)
    group = root / ("docker/abc" if version == 2 else "cpu/docker/abc")
    group.mkdir(parents=True)
    if version == 1:
        (root / "cpu" / "cpu.shares").write_text("1024")
    if stat is not None:
        (group / "cpu.stat").write_text(stat)
    return proc, root


@pytest.mark.parametrize(
    ("version", "stat", "seconds"),
    [
        (1, V1, 8.14),
        (2, V2, 8.14),
        (2, "usage_usec 9\n", 0.0),  # no quota was ever set
        (1, None, None),
        (2, "nonsense", None),
    ],
)
def test_what_the_kernel_keeps(tmp_path: Path, version: int, stat: str | None, seconds: float | None) -> None:
    assert throttled_s(7, *machine(tmp_path, version, stat)) == seconds


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    assert throttled_s(8, *machine(tmp_path, 2, V2)) is None
