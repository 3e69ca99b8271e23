"""The clusters that the suite runs over, and what it takes to have each."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

SPEED = "4"
"""The stand-ins' thresholds are so many times shorter: 20 s of silence are 5 s."""


@dataclass(frozen=True)
class Kind:
    """One subject on one runtime."""

    subject: str
    runtime: str
    environment: Mapping[str, str]
    stands_in: bool
    """Whether stand-ins run in the place of the database."""

    def __str__(self) -> str:
        return f"{self.subject}-{self.runtime}" + ("-standin" if self.stands_in else "")


def _standin(module: str) -> str:
    return f"{sys.executable} -m tests.standins.{module}"


KINDS = (
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
)
