"""Who is a member: added and not started, removed, replaced, of another cluster, restored."""

import shutil
import signal
import time

from tests.field.case import Field, Say, case


@case(
    Say(kinds=(), states=("degraded",), says="never (joined|started)|unstarted", never="healthy, 2"),
    "etcd-io/etcd#3505",
    "etcd-io/etcd#10329",
    quick=True,
)
def never_started(field: Field) -> None:
    """A voter was added and never started: three votes, two up, no failure to spare."""
    with field.members(2) as etcd:
        spare = etcd.spare("m2", etcd.initial)
        etcd.change(0, "add", {"peerURLs": [spare.peer]})
        with field.watching(f"{etcd[0].client},{etcd[1].client}", settle_s=6):
            field.happens()
            field.truth("puts are taken", holds=etcd.put(0))


@case(
    Say(kinds=("quorum_loss",), within_s=2.0, states=("down",), says="majority"),
    "etcd-io/etcd#3505",
)
def never_started_and_one_killed(field: Field) -> None:
    """With a voter that never started one death ends the quorum."""
    with field.members(2) as etcd:
        spare = etcd.spare("m2", etcd.initial)
        etcd.change(0, "add", {"peerURLs": [spare.peer]})
        with field.watching(f"{etcd[0].client},{etcd[1].client}"):
            field.happens("m1", at=etcd[1].end())
            time.sleep(3)
            field.truth("nothing is written", holds=not etcd.put(0, timeout_s=2))


@case(Say(kinds=(), states=("healthy",)), "etcd-io/etcd#21610", quick=True)
def learner(field: Field) -> None:
    """A learner is added and started: it has no vote, and nothing is wrong."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=8):
        field.happens()
        spare = etcd.spare("m3", etcd.initial)
        etcd.change(0, "add", {"peerURLs": [spare.peer], "isLearner": True})
        spare.start()
        etcd.wait(lambda: etcd.try_post(3, "maintenance/status", {}, 1.0) is not None, "it answers", 20)


@case(
    Say(kinds=("crash",), within_s=2.0, states=("degraded",), never="quorum (is )?lost"),
    "etcd-io/etcd#21694",
)
def learner_killed(field: Field) -> None:
    """A learner dies: a member is down, no vote is lost."""
    with field.members(3) as etcd:
        spare = etcd.spare("m3", etcd.initial)
        etcd.change(0, "add", {"peerURLs": [spare.peer], "isLearner": True})
        spare.start()
        etcd.wait(lambda: etcd.try_post(3, "maintenance/status", {}, 1.0) is not None, "it answers", 20)
        time.sleep(1)
        with field.watching(etcd):
            field.happens("m3", at=spare.end())
            field.truth("puts are taken", holds=etcd.put(0))


@case(
    Say(
        kinds=("membership_change",),
        within_s=5.0,
        states=("healthy",),
        never="recovered.*m\\d|every node is well|is dead",
    ),
    "etcd-io/etcd#2676",
)
def member_removed(field: Field) -> None:
    """One of five is removed: it ends itself, four go on, and it is no member any more."""
    with field.members(5) as etcd, field.watching(etcd):
        n = etcd.follower()
        other = etcd.leader()
        field.happens(etcd[n].name)
        etcd.change(other, "remove", {"ID": str(int(etcd.id(n), 16))})
        etcd.wait(lambda: not etcd.healthy(n), "it has stopped", 20)
        field.truth("puts are taken", holds=etcd.put(other))


@case(
    Say(
        kinds=("membership_change", "restart", "crash"),
        within_s=5.0,
        states=("healthy",),
        says="another member|new (member )?id|replaced",
    ),
    "etcd-io/etcd#9629",
    "gardener/etcd-druid#376",
)
def member_replaced(field: Field) -> None:
    """A member loses its data folder; it is removed, added again and started empty under its old name."""
    with field.members(3) as etcd, field.watching(etcd) as watch:
        n = etcd.follower()
        other = etcd.leader()
        member, name = str(int(etcd.id(n), 16)), etcd[n].name
        field.happens(name, at=etcd[n].end())
        etcd.change(other, "remove", {"ID": member})
        etcd.change(other, "add", {"peerURLs": [etcd[n].peer]})
        shutil.rmtree(etcd.folder / name)
        etcd[n].argv = [arg.replace("cluster-state=new", "cluster-state=existing") for arg in etcd[n].argv]
        etcd[n].start()
        etcd.wait(lambda: etcd.healthy(n), "it is back", 30)
        watch.until(lambda line: line.get("kind") == "recovered", 15, field.at)


@case(
    Say(
        kinds=("membership_change", "crash", "unknown"),
        within_s=6.0,
        states=("degraded",),
        says="another cluster|cluster id",
    ),
    "etcd-io/etcd#8788",
    "gardener/etcd-backup-restore#847",
)
def of_another_cluster(field: Field) -> None:
    """A member is started again with an empty folder as a cluster of its own: healthy by its own word."""
    with field.members(3) as etcd, field.watching(etcd):
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].end())
        shutil.rmtree(etcd.folder / etcd[n].name)
        peer, name = etcd[n].peer, etcd[n].name
        etcd[n].argv = [
            f"--initial-cluster={name}={peer}"
            if arg.startswith("--initial-cluster=")
            else "--initial-cluster-token=another"
            if arg.startswith("--initial-cluster-token")
            else arg
            for arg in etcd[n].argv
        ]
        etcd[n].start()
        etcd.wait(lambda: etcd.put(n), "it takes puts by itself", 20)


@case(
    Say(
        kinds=("crash", "quorum_loss", "restart", "membership_change"),
        within_s=3.0,
        node=False,
        states=("healthy",),
        says="another cluster|another member|cluster id|replaced",
    ),
    "etcd-io/etcd#6361",
    "etcd-io/etcd#8169",
)
def all_new_under_it(field: Field) -> None:
    """All members are ended, and a new cluster stands at the same addresses, as after a restore."""
    with field.members(3) as etcd, field.watching(etcd) as watch:
        field.happens(*etcd.names, at=min(etcd[n].end() for n in range(3)))
        for member in etcd.members:
            shutil.rmtree(etcd.folder / member.name)
            member.argv = [arg.replace("cluster-token=", "cluster-token=restored-") for arg in member.argv]
            member.start()
        etcd.wait(lambda: etcd.put(0), "it takes puts", 20)
        watch.until(lambda line: line.get("kind") == "recovered", 20, field.at)
        time.sleep(4)


@case(Say(kinds=(), states=("healthy",), says="different clusters", refuses=1))
def two_clusters_given(field: Field) -> None:
    """The endpoints are of two clusters: said so, and nothing watched."""
    with (
        field.members(1) as one,
        field.members(1) as other,
        field.watching(f"{one.endpoints},{other.endpoints}"),
    ):
        pass


@case(
    Say(
        kinds=(),
        states=("healthy",),
        says="address of no member.*removed",
        never="quorum (is )?lost|is down",
    )
)
def endpoint_of_a_removed_member(field: Field) -> None:
    """A member was removed long ago, and its endpoint is still given: said so, and nothing is wrong."""
    with field.members(4) as etcd:
        n = etcd.follower()
        etcd.change(etcd.leader(), "remove", {"ID": str(int(etcd.id(n), 16))})
        etcd.wait(lambda: not etcd.healthy(n), "it has stopped", 20)
        with field.watching(etcd, settle_s=6):
            field.happens()


@case(
    Say(kinds=(), states=("degraded",), says="never joined", never="quorum (is )?lost|is down"),
    "etcd-io/etcd#10329",
)
def learner_never_started(field: Field) -> None:
    """A learner was added and never started: it has no vote, and the upkeep is half done."""
    with field.members(3) as etcd:
        spare = etcd.spare("m3", etcd.initial)
        etcd.change(0, "add", {"peerURLs": [spare.peer], "isLearner": True})
        with field.watching(",".join(member.client for member in etcd.members[:3]), settle_s=6):
            field.happens()
            field.truth("puts are taken", holds=etcd.put(0))


@case(
    Say(kinds=("membership_change",), within_s=4.0, states=("healthy",), never="quorum (is )?lost"),
)
def removed_while_frozen(field: Field) -> None:
    """A follower is frozen, removed meanwhile, and goes on: a member of nothing."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=12):
        n = etcd.follower()
        other = next(k for k in range(3) if k != n)
        member = str(int(etcd.id(n), 16))
        field.happens(etcd[n].name, at=etcd[n].send(signal.SIGSTOP))
        time.sleep(2)
        etcd.change(etcd.leader(other), "remove", {"ID": member})
        time.sleep(3)
        etcd[n].send(signal.SIGCONT)
        field.truth("puts are taken", holds=etcd.put(other))


@case(
    Say(
        kinds=("partition",),
        within_s=5.0,
        states=("degraded",),
        confidence=("medium", "low"),
        advice="peer address|member list",
    )
)
def wrong_peer_address(field: Field) -> None:
    """A member's peer URL was changed to one where nobody listens; after its restart no peer reaches it."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=32):
        n = etcd.follower()
        peer = {"ID": str(int(etcd.id(n), 16)), "peerURLs": ["http://127.0.0.1:1"]}
        etcd.change(etcd.leader(), "update", peer)
        field.happens(etcd[n].name, at=etcd[n].end(signal.SIGTERM))
        etcd[n].start()


@case(
    Say(
        kinds=("quorum_loss",),
        within_s=5.0,
        node=False,
        states=("down",),
        advice="learner",
        says="added and never joined",
        never="no node shows why|bring back any",
    ),
    "etcd-io/etcd#3505",
)
def grown_from_one(field: Field) -> None:
    """A second member is added to a cluster of one and not started: that takes the majority away."""
    with field.members(1) as etcd, field.watching(etcd):
        field.happens()
        etcd.change(0, "add", {"peerURLs": [etcd.spare("m1", etcd.initial).peer]})
        time.sleep(4)
        field.truth("nothing is written", holds=not etcd.put(0, timeout_s=2))


@case(
    Say(
        kinds=("membership_change", "restart"),
        within_s=2.0,
        node=False,
        states=("healthy",),
        says="no longer a member",
        never=r"-1 of|0 of 1|voters left are no majority",
    )
)
def majority_given_up(field: Field) -> None:
    """Two of three die for good, and the third is started again with --force-new-cluster."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=20) as watch:
        field.happens(at=etcd[1].end())
        etcd[2].end()
        time.sleep(6)
        etcd[0].end(signal.SIGTERM)
        etcd[0].argv.append("--force-new-cluster")
        etcd[0].start()
        etcd.wait(lambda: etcd.put(0), "puts are taken", 20)
        watch.until(lambda line: line.get("kind") == "recovered", 15, field.at)
        time.sleep(4)
