"""The clusters that the suite runs over, and what it takes to have each."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.standins.images import build

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


def engine_trouble() -> str:
    """Return why no Docker cluster can be had here; empty when one can. Images that are missing are made."""
    import docker
    from docker.errors import DockerException, ImageNotFound

    try:
        client = docker.from_env()
    except DockerException as error:
        return f"no Docker engine answers ({error}); .ci/docker installs and starts one"
    wanted = {image for kind in KINDS for name, image in kind.environment.items() if name.endswith("_IMAGE")}
    try:
        for image in sorted(wanted):
            client.images.get(image)
    except ImageNotFound:
        build.build_etcd()
        build.build_standins()
    finally:
        client.close()
    return ""


def in_ci() -> bool:
    """Whether a missing engine is a failure."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")
