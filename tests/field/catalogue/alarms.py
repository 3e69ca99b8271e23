"""What the database itself raises: its space quota, corrupt data."""

import os
import time
from dataclasses import replace
from typing import Any

from tests.field.case import Field, Say, case
from tests.field.catalogue.access import enable_auth
from tests.field.watching import Line

QUOTA = "--quota-backend-bytes=200000"
FULL = "writes are refused, reads served"


def fill(etcd: Any, n: int = 0) -> None:
    """Use up the space quota."""
    for _ in range(4):
        etcd.put(n, value=b"x" * 100_000)
    etcd.wait(lambda: not etcd.put(n, value=b"x" * 1000), "puts are refused", 10)


SPACE = Say(
    kinds=("space_quota",),
    within_s=5.0,
    node=False,
    advice="compact.*defrag.*disarm",
    states=("degraded",),
    never="quorum (is )?lost|majority is (gone|lost)",
)


@case(SPACE, "etcd-io/etcd#9992", "etcd-io/etcd#11309", quick=True)
def space_quota(field: Field) -> None:
    """Three members use up their space quota: puts are refused, reads are served, nobody is down."""
    with field.members(3, args=[QUOTA]) as etcd, field.watching(etcd):
        field.happens()
        fill(etcd)
        truth = etcd.truth()
        field.truth(FULL, holds=truth == {"put": False, "linearizable": True, "serializable": True})


@case(replace(SPACE, node=True), "etcd-io/etcd#17318")
def space_quota_of_one(field: Field) -> None:
    """Only one member has a small quota; its alarm stops the writes of all."""
    with field.members(3, each={1: [QUOTA]}) as etcd, field.watching(etcd):
        field.happens("m1")
        fill(etcd, 1)
        time.sleep(1)
        field.truth("another member refuses puts, too", holds=not etcd.put(0))


@case(SPACE, "etcd-io/etcd#9992")
def space_quota_3_4(field: Field) -> None:
    """The same on etcd 3.4, whose health answer gives no reason."""
    with field.members(3, version="3.4", args=[QUOTA]) as etcd, field.watching(etcd):
        field.happens()
        fill(etcd)
        field.truth("reads are served", holds=etcd.read(0))


@case(
    Say(kinds=("space_quota",), within_s=5.0, node=False, states=("healthy",), says="recovered"),
    "ahrtr/etcd-defrag#120",
)
def space_quota_disarmed(field: Field) -> None:
    """The quota is used up; then the keys are compacted, all members defragmented, the alarm disarmed."""
    with (
        field.members(3, args=["--quota-backend-bytes=2000000"]) as etcd,
        field.watching(etcd, settle_s=10) as watch,
    ):
        field.happens()
        for _ in range(25):
            etcd.put(0, value=b"x" * 100_000)
        etcd.wait(lambda: not etcd.put(0, value=b"x" * 1000), "puts are refused", 10)
        watch.until(lambda line: line["type"] == "diagnosis", 10, field.at)
        revision = int(etcd.post(0, "maintenance/status")["header"]["revision"])
        etcd.post(0, "kv/compaction", {"revision": revision, "physical": True})
        for n in range(3):
            etcd.post(n, "maintenance/defragment", timeout_s=10)
        for alarm in etcd.post(0, "maintenance/alarm", {"action": "GET"})["alarms"]:
            etcd.post(0, "maintenance/alarm", {"action": "DEACTIVATE", **alarm})
        etcd.wait(lambda: etcd.put(0), "puts are taken again", 10)
        watch.until(lambda line: line.get("kind") == "recovered", 15, field.at)


@case(
    Say(
        kinds=("corruption",),
        within_s=5.0,
        advice="remove.*add|restore|snapshot|replace",
        states=("degraded",),
        never="quorum (is )?lost|bring back any|disk space",
    ),
    "etcd-io/etcd#7125",
    "etcd-io/etcd#13766",
    "etcd-io/etcd#14849",
)
def corrupt(field: Field) -> None:
    """A CORRUPT alarm is raised for one member: puts are refused, reads served."""
    with field.members(3) as etcd, field.watching(etcd):
        n = etcd.follower()
        field.happens(etcd[n].name)
        member = str(int(etcd.id(n), 16))
        etcd.post(
            etcd.leader(), "maintenance/alarm", {"action": "ACTIVATE", "memberID": member, "alarm": "CORRUPT"}
        )
        etcd.wait(lambda: not etcd.put(0), "puts are refused", 10)
        field.truth("reads are served", holds=etcd.read(0))


@case(
    Say(
        kinds=("space_quota",),
        within_s=8.0,
        node=False,
        states=("degraded",),
        says="is close to its space quota",
        advice="compact.*defrag",
        never="is over the quota|quorum (is )?lost",
    )
)
def quota_nearly_used(field: Field) -> None:
    """The database has 95 % of its quota: puts are still taken."""
    quota = 20_000_000
    with field.members(3, args=[f"--quota-backend-bytes={quota}"]) as etcd, field.watching(etcd):
        for _ in range(2000):
            if int(etcd.post(0, "maintenance/status")["dbSize"]) > 0.954 * quota:
                break
            etcd.put(0, value=os.urandom(20_000))
        field.happens()
        field.truth("puts are taken", holds=etcd.put(0))


@case(
    Say(
        kinds=("corruption",),
        within_s=5.0,
        advice="hashkv.*compaction.*defrag",
        says="Beside that, .* over the quota",
        never="quorum (is )?lost",
    ),
    "etcd-io/etcd#7125",
    "etcd-io/etcd#9992",
)
def space_quota_and_corrupt(field: Field) -> None:
    """The space quota is used up and one member's data is corrupt: that one alone is to be replaced."""
    with field.members(3, args=[QUOTA]) as etcd, field.watching(etcd):
        field.happens("m1")
        fill(etcd)
        member = str(int(etcd.id(1), 16))
        etcd.post(0, "maintenance/alarm", {"action": "ACTIVATE", "memberID": member, "alarm": "CORRUPT"})
        time.sleep(5)


@case(
    Say(
        kinds=("space_quota",),
        within_s=5.0,
        node=False,
        advice="disarm.*Start ",
        says="Beside that, .* is down",
        never="quorum (is )?lost",
    ),
    "etcd-io/etcd#9992",
)
def space_quota_and_one_killed(field: Field) -> None:
    """The space quota is used up, and then a follower is killed: both are told, each with its remedy."""
    with field.members(3, args=[QUOTA]) as etcd, field.watching(etcd) as watch:
        field.happens()
        fill(etcd)
        n = etcd.follower()
        etcd[n].end()
        watch.until(_tells_both, 25, field.at)


def _tells_both(line: Line) -> bool:
    return line["type"] == "diagnosis" and "Beside that" in line["diagnosis"]["root_cause"]


@case(
    Say(kinds=("space_quota",), within_s=8.0, node=False, states=("degraded", "unknown")),
    "etcd-io/etcd#13144",
)
def space_quota_without_a_user(field: Field) -> None:
    """Users are asked for and we have none; the space quota is used up, which `/health` tells anybody."""
    with field.members(3, args=[QUOTA]) as etcd:
        enable_auth(etcd)
        with field.watching(etcd):
            field.happens()
            fill(etcd)
