"""etcd as a cluster of operator's own on Kubernetes: what its pods are made of."""

import os
from collections.abc import Mapping

from subjects.errors import BadSetup
from subjects.etcd.pods import CLIENT_PORT, METRICS_PORT, make_subject
from subjects.runtimes.kubernetes.manifest import DATA, Database
from subjects.runtimes.kubernetes.options import KubernetesOptions

__all__ = ["database", "images", "make_subject"]

MEMBERS = 3
IMAGES: Mapping[str, tuple[str, str]] = {
    "etcd": ("ETCD_IMAGE", "quay.io/coreos/etcd:v3.5.21"),
    "helper": ("OPERATOR_HELPER_IMAGE", "docker.io/library/busybox:1.37.0-musl"),
}
"""What each image is for: the variable that names another, and the default. The busybox must be static."""


def images(options: KubernetesOptions) -> dict[str, str]:
    """Return the images: as given, else by their variables, else the defaults. BadSetup for another."""
    if unknown := sorted(options.images.keys() - IMAGES.keys()):
        raise BadSetup(f"There is no image for {unknown[0]!r}: those there are: {', '.join(IMAGES)}.")
    return {
        name: options.images.get(name) or os.environ.get(variable) or default
        for name, (variable, default) in IMAGES.items()
    }


def database(chosen: Mapping[str, str]) -> Database:
    """Return a member's container."""
    initial = ",".join(f"etcd-{number}={_url(f'etcd-{number}', 2380)}" for number in range(MEMBERS))
    return Database(
        name="etcd",
        image=chosen["etcd"],
        helper=chosen["helper"],
        replicas=MEMBERS,
        argv=(
            "etcd",
            "--name=$(POD_NAME)",
            f"--data-dir={DATA}/etcd",
            f"--listen-client-urls=http://$(POD_IP):{CLIENT_PORT}",
            f"--advertise-client-urls={_url('$(POD_NAME)', CLIENT_PORT)}",
            "--listen-peer-urls=http://$(POD_IP):2380",
            f"--initial-advertise-peer-urls={_url('$(POD_NAME)', 2380)}",
            f"--listen-metrics-urls=http://$(POD_IP):{METRICS_PORT}",
            f"--initial-cluster={initial}",
            "--initial-cluster-state=new",
            "--initial-cluster-token=$(NAMESPACE)",
            "--logger=zap",
            # Without compaction a load that runs for hours fills etcd's 2 GB quota.
            "--auto-compaction-mode=revision",
            "--auto-compaction-retention=10000",
        ),
        ports={"client": CLIENT_PORT, "peer": 2380, "metrics": METRICS_PORT},
        readiness={
            "httpGet": {"path": "/health?serializable=true", "port": METRICS_PORT},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "failureThreshold": 3,
        },
        memory="512Mi",
    )


def _url(pod: str, port: int) -> str:
    return f"http://{pod}.etcd.$(NAMESPACE).svc:{port}"
