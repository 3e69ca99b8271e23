"""What to do about each kind of failure, and what would change one's mind about it."""

from tools.diagnosis.schema import Kind

ACTIONS: dict[Kind, tuple[str, ...]] = {
    Kind.CRASH: (
        "Start {nodes} again on its own data, then check that the member id is the same and the lag closes.",
        "Find out who or what ended the process: the kernel's log, the engine's events, deployments.",
        "Until it is back, do not take down another node: there is less redundancy.",
    ),
    Kind.PAUSE: (
        "Let {nodes} go on (SIGCONT, unpause the container, or TiKV's PUT /resume_grpc); watch it catch up.",
        "Find out who froze it: a debugger, a snapshot of the machine, an engine's pause.",
    ),
    Kind.PARTITION: (
        "Restore the way to {nodes}: firewall rules, network policies, the engine's networks.",
        "Do not restart {nodes}: its process is well, and a restart would hide the cause.",
    ),
    Kind.SLOW_DISK: (
        "Look at what else uses the disk of {nodes}, and at the device's own health.",
        "Move leadership away from {nodes} until its disk answers in time.",
    ),
    Kind.DISK_FULL: (
        "Free space for {nodes} or raise its limit, then start it again if it has ended.",
        "In etcd: compact, defragment, and disarm the NOSPACE alarm once there is room.",
        "Alert on free space well before it ends.",
    ),
    Kind.OVERLOAD: (
        "Reduce the load or give {nodes} more processor time; look at which requests are expensive.",
        "Check whether a limit (cgroup quota, noisy neighbour) holds it back.",
    ),
    Kind.NETWORK_DELAY: (
        "Measure the round trip to {nodes} from its peers and from a client, hop by hop.",
        "If the delay stays, move leadership away from {nodes}.",
    ),
    Kind.QUORUM_LOSS: (
        "Bring back any one of {nodes} first: a majority is needed before anything can be written.",
        "Do not remove members or force a new cluster while their data can still be had.",
    ),
    Kind.LEADER_LOSS: (
        "Check why the leader stepped down: elections in the logs, disk and network of the former leader.",
    ),
    Kind.PLANNED_RESTART: (
        "Nothing to repair if {nodes} was meant to be restarted; if it is still down, start it.",
        "Announce such work as maintenance, so that nobody is called for it.",
    ),
    Kind.NONE: ("Nothing to repair.",),
    Kind.UNKNOWN: ("Look again while it happens: cluster_status, read_logs and read_metrics of every node.",),
}

WOULD_CHANGE: dict[Kind, str] = {
    Kind.CRASH: "Lines of an orderly shutdown in the log of {nodes}, or the word of somebody who stopped it.",
    Kind.PAUSE: "A process of {nodes} that was running all the time: then the silence had another cause.",
    Kind.PARTITION: "A peer that held its connection to {nodes} throughout, or a process that had ended.",
    Kind.SLOW_DISK: "Short disk waits in the metrics of {nodes} at the time in question.",
    Kind.DISK_FULL: "Enough free space and no limit on {nodes} at the time in question.",
    Kind.OVERLOAD: "Idle processors and short queues on {nodes} at the time in question.",
    Kind.NETWORK_DELAY: "The same latency on the machine of {nodes} itself, without a network in between.",
    Kind.QUORUM_LOSS: "Acknowledged writes while the majority was said to be gone.",
    Kind.LEADER_LOSS: "A node whose process, disk or network failed at the time of the election.",
    Kind.PLANNED_RESTART: "Nobody who asked for it: then the request to stop is itself the thing to explain.",
    Kind.NONE: "Any node that its peers, its clients or the kernel saw differently at that time.",
    Kind.UNKNOWN: "Any side that saw the moment itself.",
}


def actions(kind: Kind, nodes: str) -> tuple[str, ...]:
    """Return what to do, most urgent first; `nodes` is how the nodes are called in a sentence."""
    return tuple(text.format(nodes=nodes) for text in ACTIONS[kind])


def would_change(kind: Kind, nodes: str) -> str:
    """Return what would change the conclusion."""
    return WOULD_CHANGE[kind].format(nodes=nodes)
