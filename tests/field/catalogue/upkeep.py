"""What people and machines do to a cluster: upgrades, defragmentation, slow and full disks, clocks."""

import os
import shutil
import signal
import subprocess
import threading
import time

from tests.field.case import Field, Say, case
from tests.field.members import Members, NotHere, binary, version_of
from tests.standins.slow_disk import slow_disk as held_back
from tests.standins.slow_disk import why_not


@case(
    Say(
        kinds=("planned_restart",),
        within_s=5.0,
        node=False,
        confidence=("high", "medium"),
        states=("healthy",),
        says=r"Rolling upgrade: 3 of 3 members on 3\.6",
        never="no good order|crashed (for|of)|quorum (is )?lost",
    ),
    "etcd-io/etcd#20332",
)
def rolling_upgrade(field: Field) -> None:
    """Three members are upgraded from 3.5 to 3.6, one after the other: told as one upgrade."""
    newer = binary("3.6")
    with field.members(3, version="3.5") as etcd, field.watching(etcd, settle_s=10) as watch:
        field.happens()
        for n in range(3):
            etcd[n].end(signal.SIGTERM)
            etcd[n].argv[0] = str(newer)
            etcd[n].start()
            etcd.wait(lambda n=n: etcd.healthy(n), "it is back", 20)
            time.sleep(4)
        version = etcd.post(0, "maintenance/status")["version"]
        field.truth("they run the newer one", holds=version.startswith("3.6"))
        watch.until(lambda line: line.get("kind") == "recovered", 15, field.at)


PLANNED = Say(kinds=(), states=("healthy",), says="is being defragmented", never="does not answer|is down")


@case(PLANNED, "etcd-io/etcd#15477", "gardener/etcd-backup-restore#1052")
def defragmentation_of_much(field: Field) -> None:
    """A follower with some hundred megabytes is defragmented: it serves nobody meanwhile, and says why."""
    _defragmented(field, of_leader=False)


@case(PLANNED, "etcd-io/etcd#15477")
def defragmentation_of_the_leader(field: Field) -> None:
    """The same with the leader: it goes on to lead."""
    _defragmented(field, of_leader=True)


def _defragmented(field: Field, *, of_leader: bool) -> None:
    with field.members(3) as etcd:
        for n in range(300):
            etcd.put(0, f"k{n % 150}", os.urandom(1_000_000), timeout_s=10)
        with field.watching(etcd, settle_s=8):
            n = etcd.leader() if of_leader else etcd.follower()
            field.happens()
            began = time.monotonic()
            etcd.post(n, "maintenance/defragment", timeout_s=60)
            field.truth("it took a while", holds=time.monotonic() - began > 0.6)


@case(Say(kinds=(), states=("healthy",)), "etcd-io/etcd#8260")
def defragmentation_of_little(field: Field) -> None:
    """Each member is defragmented, in milliseconds."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=6):
        field.happens()
        for n in range(3):
            etcd.post(n, "maintenance/defragment", timeout_s=10)
            time.sleep(1)


@case(Say(kinds=(), states=("healthy",)), "etcd-io/etcd#9768", "etcd-io/etcd#16432")
def clock_drift(field: Field) -> None:
    """One member's clock runs an hour ahead and a tenth too fast: etcd does not mind, nothing is wrong."""
    tool = shutil.which("faketime")
    if tool is None:
        raise NotHere("there is no faketime")
    wrap = {1: [tool, "-f", "+3600s x1.1"]}
    with field.members(3, wrap=wrap) as etcd, field.watching(etcd, settle_s=10):
        field.happens()
        field.truth("puts are taken", holds=etcd.put(1))


@case(
    Say(kinds=("slow_disk",), within_s=12.0, states=("healthy", "degraded"), confidence=("high", "medium")),
    "etcd-io/etcd#10215",
    "etcd-io/etcd#7617",
)
def slow_disk(field: Field) -> None:
    """One member may write to its disk only three times a second, under some load."""
    if why := why_not():
        raise NotHere(why)
    with field.members(3) as etcd:
        assert etcd[1].process is not None
        stop = threading.Event()
        load = threading.Thread(target=_load, args=(etcd, stop))
        load.start()
        try:
            with field.watching(etcd, settle_s=25), held_back(etcd[1].process.pid, etcd.folder, 3):
                field.happens("m1")
                time.sleep(18)
        finally:
            stop.set()
            load.join()


def _load(etcd: Members, stop: threading.Event) -> None:
    while not stop.is_set():
        etcd.put(0, value=b"x" * 100)
        time.sleep(0.02)


@case(
    Say(
        kinds=("disk_full", "crash"),
        within_s=4.0,
        states=("degraded",),
        confidence=("high", "medium", "low"),
        never="quorum is lost",
    ),
    "etcd-io/etcd#18477",
)
def disk_full(field: Field) -> None:
    """One member's disk fills up for real: it ends itself. From outside only its port tells."""
    if os.geteuid() != 0:
        raise NotHere("a disk of its own takes root")
    mount = field.folder / "c1" / "m1"
    mount.mkdir(parents=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=140m", "tmpfs", str(mount)], capture_output=True
    )
    if made.returncode != 0:
        raise NotHere("no file system can be mounted here")
    try:
        with field.members(3) as etcd, field.watching(etcd, settle_s=10):
            field.happens("m1")
            (mount / "filler").write_bytes(b"")
            with (mount / "filler").open("wb") as filler:
                try:
                    while True:
                        filler.write(b"\0" * (1 << 20))
                except OSError:
                    pass
            for n in range(400):
                field.happens("m1")  # this write is the one, perhaps
                etcd.put(0, f"k{n}", os.urandom(500_000), timeout_s=5)
                if etcd[1].process is not None and etcd[1].process.poll() is not None:
                    break
            ended = etcd[1].process is not None and etcd[1].process.poll() is not None
            field.truth("the member ended itself", holds=ended)
    finally:
        subprocess.run(["umount", "-l", str(mount)], capture_output=True)


@case(
    Say(kinds=("crash",), within_s=3.0, states=("degraded",)),
    "etcd-io/etcd#20332",
)
def killed_on_the_newest(field: Field) -> None:
    """A member of the newest etcd that is here is killed."""
    version = next((each for each in ("3.7", "3.6") if _there(each)), None)
    if version is None:
        raise NotHere("there is no etcd newer than 3.5")
    with field.members(3, version=version) as etcd, field.watching(etcd):
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].end())


def _there(version: str) -> bool:
    try:
        return bool(version_of(binary(version)))
    except NotHere:
        return False


@case(Say(kinds=("crash",), within_s=2.0, states=("degraded",)), "etcd-io/etcd#13853")
def killed_on_3_4(field: Field) -> None:
    """A member of etcd 3.4 is killed."""
    with field.members(3, version="3.4") as etcd, field.watching(etcd):
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].end())


@case(Say(kinds=("crash",), within_s=2.0, states=("degraded",)), "etcd-io/etcd#13757")
def data_damaged(field: Field) -> None:
    """A member is killed and its log damaged: it does not come back."""
    with field.members(3) as etcd, field.watching(etcd):
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].end())
        for file in (etcd.folder / etcd[n].name / "member" / "wal").glob("*.wal"):
            with file.open("r+b") as wal:
                wal.seek(200)
                wal.write(b"\xff" * 400)
        etcd[n].start()
        process = etcd[n].process
        assert process is not None
        time.sleep(3)
        field.truth("it ends at once", holds=process.poll() is not None)
