"""The clusters that the suite runs over, and what it takes to have each."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from subjects.runtimes.kubernetes.options import KubernetesOptions
from tests.standins.kubernetes_standin.handle import StandinCluster

ROOT = Path(__file__).parents[2]

LIVE_CONTEXT = os.environ.get("OPERATOR_LIVE_CONTEXT", "")
"""Names a context of the person's own kubeconfig: the suite runs there too."""

SPEED = "4"
"""The stand-ins' thresholds are so many times shorter: 20 s of silence are 5 s."""


@dataclass(frozen=True)
class Kind:
    """One subject on one runtime."""

    subject: str
    runtime: str
    environment: Mapping[str, str]
    stands_in: bool
    """Whether stand-ins run in the place of the database, or of what its nodes run on."""
    context: str = ""
    """Of a real Kubernetes."""

    @property
    def options(self) -> KubernetesOptions:
        return KubernetesOptions(context=self.context or None, allowed=(self.context,))

    def __str__(self) -> str:
        how = "-live" if self.context else "-standin" if self.stands_in else ""
        return f"{self.subject}-{self.runtime}{how}"


def _standin(module: str) -> str:
    return f"{sys.executable} -m tests.standins.{module}"


def _live() -> Iterator[Kind]:
    """The person's own Kubernetes, where one is named; by its images, if others are."""
    if LIVE_CONTEXT:
        config = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
        images = {
            name: os.environ[name] for name in ("ETCD_IMAGE", "OPERATOR_HELPER_IMAGE") if name in os.environ
        }
        yield Kind(
            "etcd", "kubernetes", {"KUBECONFIG": config, **images}, stands_in=False, context=LIVE_CONTEXT
        )


CLUSTERS = (
    Kind("etcd", "process", {}, stands_in=False),
    Kind("etcd", "docker", {"ETCD_IMAGE": "operator-test/etcd:latest"}, stands_in=False),
    Kind(
        "tikv",
        "process",
        {
            "OPERATOR_PD_SERVER": _standin("pd_standin"),
            "OPERATOR_TIKV_SERVER": _standin("tikv_standin"),
            "OPERATOR_GO_YCSB": _standin("go_ycsb_standin"),
            "PYTHONPATH": str(ROOT),
            "STANDIN_SPEED": SPEED,
        },
        stands_in=True,
    ),
    Kind(
        "tikv",
        "docker",
        {
            "PD_IMAGE": "operator-test/pd-standin:latest",
            "TIKV_IMAGE": "operator-test/tikv-standin:latest",
            "GO_YCSB_IMAGE": "operator-test/go-ycsb-standin:latest",
        },
        stands_in=True,
    ),
    Kind("etcd", "kubernetes", {}, stands_in=True),
    Kind("tikv", "kubernetes", {"STANDIN_SPEED": SPEED}, stands_in=True),
    *_live(),
)


@contextlib.contextmanager
def kubernetes(kind: Kind, folder: Path) -> Iterator[Mapping[str, str]]:
    """Have a Kubernetes; yields the environment that leads to it."""
    with StandinCluster(folder, "--reachable", environment=kind.environment) as standin:
        yield {"KUBECONFIG": str(standin.kubeconfig)}
