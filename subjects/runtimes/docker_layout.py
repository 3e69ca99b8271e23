"""What a Docker cluster is made of, as it is written in its folder (`docker.json`).

The file, its variables and its project name are chosen once, so that a later run, or the healer, finds
the same containers.
"""

import ipaddress
import random
import shutil
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from subjects.errors import BadSetup
from subjects.runtimes.compose import Compose, mounted_files, variables
from subjects.runtimes.engine import Engine
from subjects.runtimes.json_file import read_layout, write_json
from subjects.runtimes.ports import HOST, for_containers, free_ports

VERSION = 1
FILE = "docker.json"

PEERS_SUBNET = "OPERATOR_PEERS_SUBNET"
"""The variable that takes the inner network's subnet: addresses can be given back only in a fixed one."""

_SUBNETS = "10.213.0.0/16"
"""Where that subnet is taken from: a private range far from Docker's own pools."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the Compose file that is a node."""

    name: str
    image: str
    published: Mapping[int, tuple[str, int]]
    """Container port → host and port on which it is published."""


@dataclass(frozen=True, slots=True)
class DockerLayout:
    """One Compose project of ours."""

    subject: str
    project: str
    file: str
    engine: str
    """The engine's address: the containers are there, whatever DOCKER_HOST says the next time."""
    environment: Mapping[str, str]
    services: tuple[Service, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The services' names, in order."""
        return tuple(service.name for service in self.services)

    def address(self, node: str, port: int) -> tuple[str, int] | None:
        """Return where a container's port is published; None when it isn't."""
        for service in self.services:
            if service.name == node:
                return service.published.get(port)
        return None


async def make_layout(
    subject: str, folder: Path, file: Path, engine: Engine, command: tuple[str, ...]
) -> DockerLayout:
    """Choose ports, a subnet and a project name, and read what Compose makes of the file.

    Raises BadSetup when the file is none, and NotReady when there are no free ports.
    """
    asked = variables(file)
    ports = [name for name in asked if name.endswith("_PORT")]
    environment = dict(zip(ports, map(str, free_ports(len(ports), for_containers())), strict=True))
    environment |= {name: str(folder / mounted) for name, mounted in mounted_files(file).items()}
    if PEERS_SUBNET in asked:
        environment[PEERS_SUBNET] = await _free_subnet(engine)
    project = project_name(subject, folder)
    compose = Compose(command, project, file, {**engine.environment, **environment})
    services = read_services(await compose.run("config"), file)
    return DockerLayout(subject, project, str(file), engine.address, environment, services)


def project_name(subject: str, folder: Path) -> str:
    """Return the project's name: always the same for one state folder, so that nothing is ever lost."""
    return f"operator-{subject}-{zlib.crc32(str(folder).encode()):08x}"


def read_services(text: str, file: Path) -> tuple[Service, ...]:
    """Read the nodes from what `compose config` printed; BadSetup when that describes none.

    Services under a profile are none: they are started for a purpose (the load).
    """
    try:
        config = yaml.safe_load(text)
        found = config["services"].items()
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise BadSetup(f"{file} describes no services.") from error
    services = tuple(
        Service(
            name, str(body.get("image") or f"built from {file.name}"), _published(body.get("ports") or ())
        )
        for name, body in sorted(found)
        if not body.get("profiles")
    )
    if not services:
        raise BadSetup(f"{file} describes no services outside profiles.")
    return services


def save(layout: DockerLayout, folder: Path) -> None:
    """Write `docker.json`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(folder / FILE, {"version": VERSION, **asdict(layout)})


def copy_mounted(layout: DockerLayout, folder: Path) -> None:
    """Put the files that containers mount into the cluster's folder."""
    for path in mounted(layout, folder):
        shutil.copyfile(Path(layout.file).with_name(path.name), path)
        path.chmod(0o644)


def mounted(layout: DockerLayout, folder: Path) -> list[Path]:
    """Return the files in the cluster's folder that containers mount."""
    given = [Path(value) for name, value in layout.environment.items() if name.endswith("_FILE")]
    return [path for path in given if path.parent == folder]


def load(folder: Path) -> DockerLayout | None:
    """Read `docker.json`; None when the folder holds no cluster. Errors: `read_layout`."""
    return read_layout(folder / FILE, VERSION, _layout)


def _layout(raw: dict[str, Any]) -> DockerLayout:
    services = tuple(
        Service(s["name"], s["image"], {int(port): (to[0], to[1]) for port, to in s["published"].items()})
        for s in raw.pop("services")
    )
    return DockerLayout(**raw, services=services)


_ON_ALL = {"": HOST, "0.0.0.0": HOST, "::": "::1"}  # noqa: S104 - nothing is bound
"""Where a port is reached that is published on all addresses."""


def _published(ports: Iterable[Any]) -> dict[int, tuple[str, int]]:
    """Read `HOST:PUBLISHED:TARGET/tcp` (Compose 1) and `{target, published, host_ip}` (Compose 2)."""
    found: dict[int, tuple[str, int]] = {}
    for port in ports:
        if isinstance(port, Mapping):
            target, published, host = port["target"], port.get("published"), port.get("host_ip") or ""
        else:
            *front, target = str(port).partition("/")[0].split(":")
            published = front.pop() if front else None
            host = ":".join(front).strip("[]")
        if published:
            found[int(target)] = (_ON_ALL.get(host, host), int(published))
    return found


async def _free_subnet(engine: Engine) -> str:
    networks = await engine.ask(engine.client.api.networks)
    taken = [
        ipaddress.ip_network(config["Subnet"], strict=False)
        for network in networks
        for config in (network.get("IPAM") or {}).get("Config") or ()
        if config.get("Subnet")
    ]
    free = [
        str(candidate)
        for candidate in ipaddress.ip_network(_SUBNETS).subnets(new_prefix=24)
        if not any(candidate.version == other.version and candidate.overlaps(other) for other in taken)
    ]
    if not free:
        raise BadSetup(
            f"All of {_SUBNETS} is taken by Docker's networks: remove some (`docker network prune`)."
        )
    # Not the first one: it is taken only once the network is made, and others may choose at the same time.
    return random.choice(free)  # noqa: S311 - not a secret
