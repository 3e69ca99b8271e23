"""What holds for every test: a home of its own, no keys, and no network beyond loopback."""

import ipaddress
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from subjects import scrub
from tests import needs

# A property holds or it doesn't: not by how fast this machine is, nor by what chance finds today. Other
# examples than those of every run: --hypothesis-profile=default.
settings.register_profile(
    "suite", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

_reached: list[str] = []
"""Addresses beyond loopback that the running test tried to reach."""

LOOPBACK_NAMES = {"localhost", "localhost.localdomain", "ip6-localhost", "", None}


def _is_loopback(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


LIVE = "OPERATOR_LIVE_CONTEXT" in os.environ
"""A person's own Kubernetes is tried: its pods are reached by their addresses."""


def _refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Fail whoever looks up, connects or sends to a host that is not this one."""
    if LIVE:
        return
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        if not isinstance(address, tuple):
            return  # a Unix socket's path
        host = address[0]
    else:
        return
    if not _is_loopback(host):
        _reached.append(f"{event} {host!r}")
        # Failed is a BaseException: no retry and no `except Exception` swallows it.
        pytest.fail(f"a test tried to reach {host!r} ({event}); tests reach loopback only", pytrace=False)


# An audit hook sees every connection that Python makes, whichever library asks for it. It cannot be
# removed, so there is one for the whole run.
sys.addaudithook(_refuse_the_network)


MEMORY, ROOM = Path("/dev/shm"), 8 << 30
"""A file system in memory, and the room that it must have to be used."""
LARGE = 1 << 20
"""Larger files are members' data."""


def pytest_configure(config: pytest.Config) -> None:
    """Know a marker for each thing that not every machine has; keep members' data in memory if there is room.

    Each write of etcd waits for the disk, and a disk that others use keeps a member silent for seconds.
    """
    needs.register(config)
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        found = os.statvfs(MEMORY)
        if found.f_bavail * found.f_frsize > ROOM and not found.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep of a run that failed what tells of it, and no members' data in memory."""
    folder = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    if not hasattr(session.config, "workerinput") and MEMORY in folder.parents:
        for file in folder.rglob("*"):
            with suppress(OSError):
                if file.is_file() and file.stat().st_size > LARGE:
                    file.unlink()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what can't run here, before anything is prepared for it."""
    needs.check(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one place what was left out, and how to have it run."""
    skipped = terminalreporter.stats.get("skipped", [])
    if lines := needs.left_out(report.longrepr[2].removeprefix("Skipped: ") for report in skipped):
        terminalreporter.section("not run on this machine")
        terminalreporter.write_line("\n".join(lines))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, on one worker of xdist, what shares a cluster: a file, or one kind of cluster in it.

    Demos of all files are one group, and begin first: a demo has the figures of a whole machine in it.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:  # two would make a group of the two of them
            spec = getattr(item, "callspec", None)
            kind = spec.params.get("kind", "") if spec is not None else ""
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {kind}".rstrip()))
    items.sort(key=lambda item: next(item.iter_markers("xdist_group")).args[0] != "demos")


@pytest.fixture
def reached() -> list[str]:
    """What the test tried to reach beyond loopback; a test that means to try clears it."""
    return _reached


@pytest.fixture(autouse=True)
def _only_loopback(reached: list[str]) -> Iterator[None]:
    """Fail a test that tried to reach the network, even where its failure was swallowed."""
    reached.clear()
    yield
    tried, reached[:] = list(reached), []
    assert tried == [], f"reached beyond loopback: {tried}"


@pytest.fixture(autouse=True)
def _own_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """Give the test a home and a state folder of its own, and no credentials and proxies of anybody's."""
    docker_config = os.environ.get("DOCKER_CONFIG") or str(Path("~/.docker").expanduser())
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "OPERATOR_", "XDG_", "AWS_", "ETCD")) or name.upper().endswith(
            "_PROXY"
        ):
            monkeypatch.delenv(name)
    scrub.known_secrets.cache_clear()
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("OPERATOR_STATE_DIR", str(home / "state"))
    if request.node.get_closest_marker("docker"):
        monkeypatch.setenv("DOCKER_CONFIG", docker_config)  # Compose may be a plug-in in there
    return home
