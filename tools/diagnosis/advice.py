"""What to do about each kind of failure, and what would change one's mind about it."""

from collections.abc import Sequence

from subjects.base import Quorum
from tools.diagnosis.schema import Kind

ACTIONS: dict[Kind, tuple[str, ...]] = {
    Kind.CRASH: (
        "Start {nodes} again on {its} own data, if nothing has yet; check that {its} lag closes.",
        "Find out who or what ended {its} process: {its} log, the kernel's log, engine events, deployments.",
    ),
    Kind.RESTART: (
        "Read the log of {nodes} from before its start: a shutdown request, a panic, or nothing.",
        "Ask who deploys or maintains it: a planned restart is to be announced.",
    ),
    Kind.PAUSE: (
        "Resume {nodes} (kill -CONT, docker unpause), and watch {them} catch up.",
        "Find out who froze {them}: a debugger, a snapshot of the machine, an engine's pause.",
    ),
    Kind.PARTITION: (
        "Restore the network to {nodes}: firewall rules, network policies, routes, {its} peer address.",
        "Do not restart {nodes} before you know that {its} process is at fault: a restart hides the cause.",
    ),
    Kind.SLOW_DISK: (
        "Look at what else uses the disk of {nodes}, and at the device's own health.",
        "Move leadership away from {nodes} until its disk answers in time.",
    ),
    Kind.DISK_FULL: (
        "Free space for {nodes} or raise {its} limit; what has exited is started again.",
        "Alert on free space well before it ends.",
    ),
    Kind.SPACE_QUOTA: (
        "Compact old revisions: etcdctl compaction REVISION.",
        "Defragment the members one at a time: etcdctl defrag --endpoints ONE.",
        "Then disarm the alarm: etcdctl alarm disarm. Raise --quota-backend-bytes if the data may grow.",
    ),
    Kind.CORRUPTION: (
        "Find the member whose data differs: etcdctl endpoint hashkv --cluster.",
        "Replace that member from a healthy one: member remove, delete its data, member add.",
        "Then disarm the alarm: etcdctl alarm disarm. Back up a healthy member first.",
    ),
    Kind.MEMBERSHIP: (
        "Nothing to repair if that was meant. Check that the number of voters is what you want.",
        "Stop what still runs of a removed member, and delete its data before it is added again.",
    ),
    Kind.CERTIFICATE: (
        "Renew the certificate of {nodes}: etcd reads the file again for each connection, without a restart.",
        "Check the other members' certificates, and the authority's own.",
    ),
    Kind.DEFRAGMENTATION: (
        "Nothing to repair: it ends by itself. Defragment one member at a time, the leader last.",
    ),
    Kind.CLOCK_DRIFT: (
        "Compare the time on the machines (chronyc tracking, timedatectl); synchronize {nodes} again.",
        "Check what goes by wall time: certificates and tokens that are not yet or no longer valid, alerts, "
        "the order of lines in logs. Elections and leases go by a clock that no step moves.",
    ),
    Kind.OVERLOAD: (
        "Reduce the load or give {nodes} more CPU; look at which requests are expensive.",
        "Check whether a limit (cgroup quota, noisy neighbour) holds it back.",
    ),
    Kind.NETWORK_DELAY: (
        "Measure the round trip to {nodes} from its peers and from a client, hop by hop.",
        "If the delay stays, move leadership away from {nodes}.",
    ),
    Kind.QUORUM_LOSS: (
        "Bring back any one of {nodes} first: nothing can be written without a majority.",
        "Do not remove members or force a new cluster while their data can still be had.",
    ),
    Kind.LEADER_LOSS: (
        "Check why leadership moved: a move-leader by somebody, elections in the logs, disk and network of "
        "the former leader.",
    ),
    Kind.PLANNED_RESTART: (
        "Nothing to repair if {nodes} was meant to be restarted; if it is still down, start it.",
        "Announce such work as maintenance, so that nobody is called for it.",
    ),
    Kind.NONE: ("Nothing to repair.",),
    Kind.UNKNOWN: ("Look again while it happens: cluster_status, read_logs and read_metrics of every node.",),
}

OF_ETCD: dict[Kind, str] = {
    Kind.CRASH: "If its data is damaged or lost: etcdctl member remove, member add, and start it with an "
    "empty data folder and --initial-cluster-state=existing; one member at a time.",
    Kind.PARTITION: "Compare its peer address with what the others have: etcdctl member list.",
    Kind.QUORUM_LOSS: "Only if the data of a majority is gone for good: etcdutl snapshot restore of the "
    "latest snapshot on every member of a new cluster; what was written after it is lost.",
}
"""What etcd's own tools do beside it."""

BEHIND_ONE_ADDRESS = (
    "Ask a member at an address of its own, from where that can be reached: if it answers, the address that "
    "all of them share is what has failed.",
    "Look at what stands there: the load balancer's health checks and members, DNS, firewall rules.",
    "Give operator each member's own address, so that it can tell the two apart.",
)
OUR_OWN_WAY = (
    "Check the network of this machine first: VPN, routes, firewall; then ask a member from another machine.",
    "If the members are silent from there, too, look at what they share: hosts, hypervisor, storage, switch.",
)
LEADERLESS_REGIONS = (
    "Look at the replicas of these regions: pd-ctl region, and which of their stores are up.",
    "Bring back a store that holds replicas of them: with a majority of its replicas up, a region elects "
    "a leader by itself in 10 to 20 s.",
    "Only where a majority of the replicas is lost for good: pd-ctl unsafe remove-failed-stores, which gives "
    "up what was written last.",
)
"""Of TiKV: a region's replicas elect their leader among themselves, and PD only hears of it."""

NEVER_JOINED = (
    "Start {nodes}, with --initial-cluster-state=existing and all members in --initial-cluster: then there "
    "is a majority again. Nobody can be removed before that.",
    "If it can't be started and no other voter can come back: back up the data of one member, and restart "
    "that one with --force-new-cluster.",
    "Add the next one as a learner (etcdctl member add --learner): it counts only once it is promoted.",
)
"""Of etcd: a voter counts from the moment when it is added."""

WOULD_CHANGE: dict[Kind, str] = {
    Kind.CRASH: "A shutdown request in the log of {nodes}, or the word of somebody who stopped it.",
    Kind.RESTART: "The log of {nodes} from before its start.",
    Kind.PAUSE: "A process of {nodes} that was running all the time: then the silence had another cause.",
    Kind.PARTITION: "A peer that kept its connection to {nodes} throughout, or a process that had exited.",
    Kind.SLOW_DISK: "Short disk waits in the metrics of {nodes} at the time in question.",
    Kind.DISK_FULL: "Enough free space and no limit on {nodes} at the time in question.",
    Kind.SPACE_QUOTA: "A database well below its quota while the alarm was raised.",
    Kind.CORRUPTION: "Equal hashes of all members at one revision.",
    Kind.MEMBERSHIP: "The same member id before and after.",
    Kind.CERTIFICATE: "A certificate of {nodes} that verifies.",
    Kind.DEFRAGMENTATION: "No defragmentation in the metrics or the log of {nodes} at the time in question.",
    Kind.CLOCK_DRIFT: "The same time on the machine of {nodes} and on the others, asked at once.",
    Kind.OVERLOAD: "Idle processors and short queues on {nodes} at the time in question.",
    Kind.NETWORK_DELAY: "The same latency on the machine of {nodes} itself, without a network in between.",
    Kind.QUORUM_LOSS: "Acknowledged writes while the majority was reported lost.",
    Kind.LEADER_LOSS: "A node whose process, disk or network failed at the time of the election.",
    Kind.PLANNED_RESTART: "Nobody who asked for it: then the request to stop is itself the thing to explain.",
    Kind.NONE: "Any node that its peers, its clients or the kernel saw differently at that time.",
    Kind.UNKNOWN: "A side that saw the moment itself: the process, its log, the network.",
}

_TAKES_A_VOTER = frozenset({Kind.CRASH, Kind.PAUSE, Kind.PARTITION, Kind.RESTART, Kind.DISK_FULL})


def actions(kind: Kind, nodes: str, quorum: Quorum | None = None, database: str = "") -> tuple[str, ...]:
    """Return what to do, most urgent first; `nodes` is how the nodes are called in a sentence."""
    several = " and " in nodes
    its, them = ("their", "them") if several else ("its", "it")
    steps = tuple(text.format(nodes=nodes, its=its, them=them) for text in ACTIONS[kind])
    if database == "etcd" and kind in OF_ETCD:
        steps = (*steps, OF_ETCD[kind])
    if kind not in _TAKES_A_VOTER or quorum is None or not quorum.held or quorum.voters < 3:
        return steps
    spare = quorum.up - quorum.needed
    if spare > 0:
        return steps
    return (*steps, "Until then, do not take down another node: one more loss means no quorum.")


def listed(nodes: Sequence[str]) -> str:
    """Return names as a sentence lists them: `a, b and c`."""
    return " and ".join([", ".join(nodes[:-1]), nodes[-1]] if len(nodes) > 1 else nodes)


def would_change(kind: Kind, nodes: str) -> str:
    """Return what would change the conclusion."""
    return WOULD_CHANGE[kind].format(nodes=nodes)
