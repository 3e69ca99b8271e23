"""The suite itself: what shares a cluster is run by one worker, or each worker brings up one of its own."""

import subprocess
import sys
from pathlib import Path

FILE = """
import os
import pathlib
import pytest

@pytest.mark.parametrize("n", range(8))
def test_where(n):
    with pathlib.Path({log!r}).open("a") as log:
        log.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""
CONFTEST = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.xdist_group("one"))
"""


def test_a_group_stays_on_one_worker_of_the_libraries_that_are_installed(tmp_path: Path) -> None:
    """pytest 9.2 and pytest-xdist 3.8 together gave every test to whoever was free."""
    log = tmp_path / "log"
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(FILE.format(log=str(log)))
    words = ["-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder", "-p", "no:cacheprovider", "-q"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    workers = log.read_text().split()
    assert (len(workers), len(set(workers))) == (8, 1)
