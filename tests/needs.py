"""What a test may need of the machine beside Python, how each is looked for, and how to get what is missing.

A test says what it needs with a marker of that name (`@pytest.mark.docker`). Where it is missing the test is
skipped with the reason, or fails in CI, which has it all; the end of the run lists what was left out.
"""

import asyncio
import fcntl
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from subjects.errors import SubjectError


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that is not on every machine."""

    what: str
    missing: Callable[[], str]
    """Returns why it is not here; empty where it is."""
    remedy: str
    in_ci: bool = True
    """Whether a run in CI has it: then its absence there is a failure."""


@functools.cache
def _docker() -> str:
    """Look for an engine and a Compose that answer, and make the images that tests run."""
    try:
        with ThreadPoolExecutor(1) as thread:  # this thread's event loop belongs to the tests
            thread.submit(asyncio.run, _engine_and_compose()).result()
    except SubjectError as error:
        return str(error).partition(". ")[0]
    from tests.standins.images.build import build_missing

    # The workers of one run ask at once; one of them builds.
    with (Path(tempfile.gettempdir()) / f"operator-images-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build_missing()
    return ""


async def _engine_and_compose() -> None:
    from subjects.runtimes.compose import find_compose
    from subjects.runtimes.engine import connect

    (await connect()).close()
    await find_compose()


@functools.cache
def _control_groups() -> str:
    from subjects.runtimes.process_limits import cpu_capability

    capability = cpu_capability()
    return "" if capability.available else capability.reason


def _slow_disk() -> str:
    from tests.standins import slow_disk

    return slow_disk.why_not()


def _program(*names: str) -> Callable[[], str]:
    """Return a look for the first of these programs on PATH."""
    return lambda: "" if any(map(shutil.which, names)) else f"no {' or '.join(names)} on PATH"


@functools.cache
def _network_namespace() -> str:
    if shutil.which("unshare") is None:
        return "no unshare on PATH"
    ran = subprocess.run([*NO_NETWORK, "true"], capture_output=True, text=True, check=False)
    return ran.stderr.strip() if ran.returncode else ""


NO_NETWORK = ("unshare", "--map-root-user", "--net")
"""Runs what follows in a network namespace of its own, whose loopback is down."""


def _pod_addresses() -> str:
    return "" if sys.platform == "linux" else "only Linux has all of 127.0.0.0/8 on its loopback"


NEEDS = {
    "docker": Need(
        "a Docker engine and Compose",
        _docker,
        "start Docker and install the Compose plug-in (on Debian `.ci/docker` shows how)",
    ),
    "control_groups": Need("CPU control groups", _control_groups, "run as root on Linux"),
    "blkio": Need(
        "a disk made slow for one process", _slow_disk, "run as root with control groups v1", in_ci=False
    ),
    "browser": Need(
        "a browser",
        _program("chromium", "chromium-browser", "google-chrome"),
        "install chromium",
    ),
    "network_namespace": Need(
        "a network namespace of its own",
        _network_namespace,
        "run as root, or allow unprivileged user namespaces",
    ),
    "promtool": Need("promtool", _program("promtool"), "install prometheus"),
    "alertmanager": Need(
        "Alertmanager", _program("prometheus-alertmanager"), "install prometheus-alertmanager (Debian)"
    ),
    "pod_addresses": Need("an address for each pod", _pod_addresses, "run on Linux"),
    "pd_server": Need(
        "a real PD", _program("pd-server"), "put TiKV's pd-server on PATH (`tiup install pd`)", in_ci=False
    ),
}

SKIPPED = "needs "
"""How the reason of every such skip begins."""


def register(config: pytest.Config) -> None:
    """Make a marker of each need."""
    for name, need in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: needs {need.what}")


def check(item: pytest.Item) -> None:
    """Skip the test, or in CI fail it, where something that it needs is missing."""
    for name, need in NEEDS.items():
        if item.get_closest_marker(name) and (why := need.missing()):
            if need.in_ci and in_ci():
                pytest.fail(f"CI has everything, but not {need.what}: {why}", pytrace=False)
            pytest.skip(f"{SKIPPED}{need.what}: {why}")


def in_ci() -> bool:
    """Whether this run must leave out nothing that CI installs."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def left_out(reasons: Iterable[str]) -> list[str]:
    """Return one line for each thing that was missing, with the remedy; then the other reasons of skips."""
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return [
        f"{count:4} {'test' if count == 1 else 'tests'}: {reason}{_remedy(reason)}"
        for reason, count in sorted(counts.items(), key=lambda item: -item[1])
    ]


def _remedy(reason: str) -> str:
    for need in NEEDS.values():
        if reason.startswith(f"{SKIPPED}{need.what}:"):
            return f". To run: {need.remedy}."
    return ""
