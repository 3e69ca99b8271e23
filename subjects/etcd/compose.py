"""etcd on Docker: the Compose file that ships with it, and where its members answer."""

from importlib.resources import files
from pathlib import Path

from subjects.endpoints import netloc
from subjects.errors import BadSetup
from subjects.etcd.client import EtcdClient
from subjects.etcd.subject import Endpoint, EtcdSubject
from subjects.runtimes.docker import DockerRuntime

NEEDED_BYTES = 512 << 20
"""Three idle members take about 60 MB each; the load comes on top."""

CLIENT_PORT, METRICS_PORT = 2379, 2381


def compose_file() -> Path:
    """Return the file that ships with the subject."""
    return Path(str(files("subjects.etcd").joinpath("docker-compose.yaml")))


def make_subject(runtime: DockerRuntime) -> EtcdSubject:
    """Return the subject for the published ports. BadSetup when a service publishes no client port."""
    endpoints = {}
    for node in runtime.layout.nodes:
        client = runtime.layout.address(node, CLIENT_PORT)
        if client is None:
            raise BadSetup(f"{runtime.layout.file}: {node} publishes no port for {CLIENT_PORT}/tcp.")
        metrics = runtime.layout.address(node, METRICS_PORT) or client
        url = f"http://{netloc(*client)}"
        endpoints[node] = Endpoint(client=url, direct=url, metrics=f"http://{netloc(*metrics)}")
    return EtcdSubject(endpoints, runtime, EtcdClient())
