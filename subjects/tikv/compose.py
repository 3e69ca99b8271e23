"""TiKV on Docker: the Compose file that ships with it, and where its nodes answer."""

import sys
from importlib.resources import files
from pathlib import Path

from subjects.endpoints import netloc
from subjects.errors import BadSetup
from subjects.runtimes.docker import DockerRuntime
from subjects.tikv.go_ycsb import IN_NETWORK, load_target
from subjects.tikv.loads import Loads, operator_load
from subjects.tikv.members import DATA_PORT, PD_PORT, STATUS_PORT, Member
from subjects.tikv.pd import PdClient
from subjects.tikv.subject import TikvSubject

NEEDED_BYTES = 4 << 30
"""Three stores of 1 GB at most (tikv.toml) and three PDs."""


def compose_file() -> Path:
    """Return the file that ships with the subject."""
    return Path(str(files("subjects.tikv").joinpath("docker-compose.yaml")))


def make_subject(runtime: DockerRuntime) -> TikvSubject:
    """Return the subject for the published ports: what publishes 20180 is a store, what publishes 2379 a PD.

    BadSetup when there is no store or no PD among the services.
    """
    pds, stores = [], []
    for node in runtime.layout.nodes:
        status = runtime.layout.address(node, STATUS_PORT)
        client = runtime.layout.address(node, PD_PORT)
        if status is not None:
            data = runtime.layout.address(node, DATA_PORT)
            stores.append(Member(node, "store", f"http://{netloc(*status)}", data))
        elif client is not None:
            pds.append(Member(node, "pd", f"http://{netloc(*client)}"))
    if not pds or not stores:
        raise BadSetup(
            f"{runtime.layout.file}: PDs must publish {PD_PORT}/tcp and stores {STATUS_PORT}/tcp; found "
            f"{len(pds)} PDs and {len(stores)} stores."
        )
    argv = (sys.executable, "-P", "-m", "subjects.tikv.ycsb_container", str(runtime.folder))
    endpoints = tuple(f"{pd.name}.peers:{PD_PORT}" for pd in pds)
    # PD gives addresses of the inner network: under them stores answer containers only.
    reached_at = {
        f"{store.name}{network}:{DATA_PORT}": store.address
        for store in stores
        for network in ("", ".peers")
        if store.data
    }
    urls = [pd.url for pd in pds]
    loads = Loads(operator_load(urls, reached_at), load_target(argv, endpoints, IN_NETWORK))
    return TikvSubject((*pds, *stores), runtime, PdClient(urls), loads)
