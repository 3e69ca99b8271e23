"""Members that die, stop, come back or are lost together."""

import signal
import time

from tests.field.case import Field, Say, case

FROM_OUTSIDE = ("crash", "restart", "unknown")
"""A port that refuses tells that the process is gone, not how it ended."""


@case(
    Say(
        kinds=("crash",),
        within_s=2.0,
        advice="start|restart|bring",
        states=("degraded",),
        never="quorum is lost",
    ),
    "etcd-io/etcd#13467",
    quick=True,
)
def follower_killed(field: Field) -> None:
    """One follower of three is killed and stays down."""
    with field.members(3) as etcd, field.watching(etcd):
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].end())
        field.truth("puts go on", holds=etcd.put(etcd.leader(next(k for k in range(3) if k != n))))


@case(
    Say(kinds=("crash",), within_s=2.0, advice="start|restart|bring", states=("degraded",)),
    "etcd-io/etcd#7134",
)
def leader_killed(field: Field) -> None:
    """The leader of three is killed: an election, then two members serve."""
    with field.members(3) as etcd, field.watching(etcd):
        n = etcd.leader()
        field.happens(etcd[n].name, at=etcd[n].end())
        others = [k for k in range(3) if k != n]
        etcd.wait(lambda: etcd.put(others[0]), "puts go on", 10)


@case(
    Say(
        kinds=("quorum_loss",),
        within_s=2.0,
        advice="bring|start|restore|snapshot",
        states=("down",),
        says="quorum",
    ),
    "etcd-io/etcd#8363",
)
def two_of_three_killed(field: Field) -> None:
    """Two of three are killed at once: nothing is written or read linearizably, one serves old data."""
    with field.members(3) as etcd, field.watching(etcd):
        dead = [1, 2]
        at = min(etcd[n].end() for n in dead)
        field.happens(*(etcd[n].name for n in dead), at=at)
        time.sleep(3)
        truth = etcd.truth(0, 2.0)
        field.truth(
            "only serializable reads are served",
            holds=truth == {"put": False, "linearizable": False, "serializable": True},
        )


@case(
    Say(
        kinds=("restart", "planned_restart"),
        within_s=5.0,
        confidence=("medium", "low"),
        states=("healthy",),
        never="no good order|crash(ed|es)? (for|of)",
    ),
    "etcd-io/etcd#13284",
)
def graceful_restart(field: Field) -> None:
    """One member is ended by SIGTERM and started again at once: no log can be read from outside."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=14) as watch:
        n = etcd.follower()
        at = etcd[n].end(signal.SIGTERM)
        field.happens(etcd[n].name, at=at)
        etcd[n].start()
        etcd.wait(lambda: etcd.healthy(n), "it is back", 20)
        watch.until(lambda line: line.get("kind") == "recovered", 15, at)


@case(
    Say(
        kinds=("crash", "restart"),
        within_s=2.0,
        states=("degraded", "healthy"),
        says=r"again|loop|\d(nd|rd|th) time",
        advice="log",
    ),
    "etcd-io/etcd#16337",
)
def crash_loop(field: Field) -> None:
    """A member is killed three times, each time some seconds after it came back."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=6) as watch:
        n = etcd.follower()
        deaths = []
        for _ in range(3):
            at = etcd[n].end()
            deaths.append(at)
            if len(deaths) == 1:
                field.happens(etcd[n].name, at=at)
            told = watch.until(
                lambda line: line["type"] == "detection" and etcd[n].name in line["nodes"], 5, at
            )
            field_missed = told is None
            if field_missed:
                break
            etcd[n].start()
            etcd.wait(lambda: etcd.healthy(n), "it is back", 20)
            time.sleep(3)


@case(Say(kinds=("quorum_loss",), within_s=2.0, says="quorum|majority", states=("down",)))
def one_of_two_killed(field: Field) -> None:
    """Of two members one is killed: that is the majority, and the diagnosis must have it."""
    with field.members(2) as etcd, field.watching(etcd):
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].end())
        time.sleep(2)
        field.truth("nothing is written", holds=not etcd.put(1 - n, timeout_s=2))


@case(
    Say(
        kinds=("crash", "quorum_loss"),
        within_s=2.0,
        states=("down",),
        never="another node|other members? (down|too)",
    ),
)
def single_member_killed(field: Field) -> None:
    """A cluster of one loses it: there is no other node to spare."""
    with field.members(1) as etcd, field.watching(etcd):
        field.happens(etcd[0].name, at=etcd[0].end())


@case(
    Say(kinds=("quorum_loss", "crash"), within_s=2.0, states=("healthy", "down", "degraded")),
    "etcd-io/etcd#13520",
)
def all_killed_and_back(field: Field) -> None:
    """All three are killed, and started again four seconds later."""
    with field.members(3) as etcd, field.watching(etcd) as watch:
        at = min(etcd[n].end() for n in range(3))
        field.happens(*etcd.names, at=at)
        watch.until(lambda line: line["type"] == "diagnosis", 10, at)
        for member in etcd.members:
            member.start()
        etcd.wait(lambda: etcd.put(0), "puts go on", 20)


@case(
    Say(kinds=("quorum_loss",), within_s=2.0, states=("down",)),
    "etcd-io/etcd#11220",
)
def three_of_five_killed(field: Field) -> None:
    """Three of five are killed."""
    with field.members(5) as etcd, field.watching(etcd):
        at = min(etcd[n].end() for n in (0, 1, 2))
        field.happens("m0", "m1", "m2", at=at)
        time.sleep(3)
        field.truth("nothing is written", holds=not etcd.put(3, timeout_s=2))


@case(
    Say(
        kinds=("pause", "partition"),
        unknown=True,
        within_s=4.0,
        confidence=("medium", "low"),
        says="froz|frozen|paus",
        states=("down", "degraded", "unknown"),
    ),
)
def single_member_frozen(field: Field) -> None:
    """The only member is frozen: from outside that can't be told from a cut link, and both must be named."""
    with field.members(1) as etcd, field.watching(etcd):
        field.happens("m0", at=etcd[0].send(signal.SIGSTOP))
        time.sleep(10)


@case(
    Say(
        kinds=("pause", "partition"),
        unknown=True,
        within_s=4.0,
        confidence=("medium", "low"),
        states=("degraded",),
        never="process is (well|healthy|running)",
    ),
    "etcd-io/etcd#18477",
)
def follower_frozen(field: Field) -> None:
    """One follower of three is frozen for ten seconds."""
    with field.members(3) as etcd, field.watching(etcd):
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].send(signal.SIGSTOP))
        time.sleep(10)


@case(
    Say(
        kinds=("pause", "partition", "overload"),
        unknown=True,
        within_s=6.0,
        confidence=("medium", "low"),
        never="do not restart|process is well",
        states=("degraded", "healthy"),
    ),
)
def stuttering(field: Field) -> None:
    """A member stands still for 0.9 s of each second."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=4):
        n = etcd.follower()
        field.happens(etcd[n].name)
        for _ in range(12):
            etcd[n].send(signal.SIGSTOP)
            time.sleep(0.9)
            etcd[n].send(signal.SIGCONT)
            time.sleep(0.1)


@case(
    Say(
        kinds=("crash",),
        within_s=2.0,
        states=("degraded",),
        advice="another node",
        never="quorum (is )?lost",
    )
)
def two_of_five_killed(field: Field) -> None:
    """Two of five are killed: all goes on, and there is no failure to spare."""
    with field.members(5) as etcd, field.watching(etcd):
        leader = etcd.leader()
        dead = [n for n in range(5) if n != leader][:2]
        at = min(etcd[n].end() for n in dead)
        field.happens(*(etcd[n].name for n in dead), at=at)
        field.truth("puts are taken", holds=etcd.put(leader))
