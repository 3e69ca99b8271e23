"""etcd as a cluster of operator's own on Kubernetes: what its pods are made of."""

from collections.abc import Mapping

from subjects.etcd.pods import CLIENT_PORT, METRICS_PORT, make_subject
from subjects.runtimes.kubernetes.manifest import DATA, Database
from subjects.runtimes.kubernetes.options import HELPER

__all__ = ["IMAGES", "databases", "make_subject"]

MEMBERS = 3
IMAGES: Mapping[str, tuple[str, str]] = {
    "etcd": ("ETCD_IMAGE", "quay.io/coreos/etcd:v3.5.21"),
    **HELPER,
}
"""What each image is for: the variable that names another, and the default."""


def databases(chosen: Mapping[str, str]) -> tuple[Database, ...]:
    """Return a member's container."""
    initial = ",".join(f"etcd-{number}={_url(f'etcd-{number}', 2380)}" for number in range(MEMBERS))
    member = Database(
        name="etcd",
        image=chosen["etcd"],
        helper=chosen["helper"],
        replicas=MEMBERS,
        argv=(
            "etcd",
            "--name=$(POD_NAME)",
            f"--data-dir={DATA}/etcd",
            # Everywhere: a port-forward, which goes past the network between pods, comes by loopback.
            f"--listen-client-urls=http://0.0.0.0:{CLIENT_PORT}",
            f"--advertise-client-urls={_url('$(POD_NAME)', CLIENT_PORT)}",
            "--listen-peer-urls=http://0.0.0.0:2380",
            f"--initial-advertise-peer-urls={_url('$(POD_NAME)', 2380)}",
            f"--listen-metrics-urls=http://0.0.0.0:{METRICS_PORT}",
            f"--initial-cluster={initial}",
            "--initial-cluster-state=new",
            "--initial-cluster-token=$(NAMESPACE)",
            "--logger=zap",
            # Without compaction a load that runs for hours fills etcd's 2 GB quota.
            "--auto-compaction-mode=revision",
            "--auto-compaction-retention=10000",
        ),
        ports={"client": CLIENT_PORT, "peer": 2380, "metrics": METRICS_PORT},
        ready=("/health?serializable=true", METRICS_PORT),
        memory="512Mi",
    )
    return (member,)


def _url(pod: str, port: int) -> str:
    return f"http://{pod}.etcd.$(NAMESPACE).svc:{port}"
