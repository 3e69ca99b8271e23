"""A container's place in its networks: taken away for a cut, given back with its address and aliases.

What a container had is written down before anything is taken (`attachments.json`): whoever heals may be
another process, and the engine forgets the aliases at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from docker.errors import APIError

from subjects.base import Direction, LinkRule, Scope
from subjects.errors import NotReady, Unsupported
from subjects.runtimes.engine import Engine
from subjects.runtimes.json_file import read_file, write_json

SCOPE_LABEL = "chaos-operator.scope"
"""On a network of a Compose file: `peers` or `clients`. One without it carries both."""

FILE = "attachments.json"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One network that a container belongs to."""

    network: str
    """Its id."""
    name: str
    scope: Scope
    address: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one container belongs, and where it is."""

    node: str
    container: str
    belongs: tuple[Attachment, ...]
    attached: frozenset[str]
    """Ids of the networks that it really is in now."""

    def missing(self) -> tuple[Attachment, ...]:
        """Return the networks that it was taken from."""
        return tuple(each for each in self.belongs if each.network not in self.attached)


def tells_scopes(compose_file: Path) -> bool:
    """Return whether the Compose file has a network of peers alone, and one of clients alone."""
    try:
        return compose_file.read_text(encoding="utf-8").count(SCOPE_LABEL) >= 2
    except OSError:
        return False  # it has gone since: nothing is known of it


class Attachments:
    """Where every container of one project belongs."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def place(self, node: str, container: Mapping[str, Any], scopes: Mapping[str, Scope]) -> Place:
        """Return a container's place, noting down where it belongs while it still is where it belongs."""
        identity = str(container["Id"])
        # A failed connect leaves an entry without an endpoint: such a network is not joined.
        present = {
            name: network
            for name, network in container["NetworkSettings"]["Networks"].items()
            if network.get("EndpointID") or container["State"]["Status"] in ("exited", "created")
        }
        attached = frozenset(str(network["NetworkID"]) for network in present.values())
        known = self._read()
        had = known.get(identity, [])
        if attached.issuperset(each.network for each in had):
            now = [_attachment(name, raw, identity, scopes) for name, raw in present.items()]
            # A container that does not run has no addresses: those it had are kept.
            now = [_with_address(each, had) for each in now]
            if now != had:
                known[identity] = had = now
                self._write(known)
        return Place(node, identity, tuple(had), attached)

    def _write(self, known: Mapping[str, Sequence[Attachment]]) -> None:
        write_json(self._file, {key: [asdict(each) for each in value] for key, value in known.items()})

    def _read(self) -> dict[str, list[Attachment]]:
        return {
            container: [
                Attachment(a["network"], a["name"], Scope(a["scope"]), a["address"], tuple(a["aliases"]))
                for a in attachments
            ]
            for container, attachments in (read_file(self._file) or {}).items()
        }


def rules_in_force(places: Iterable[Place]) -> tuple[LinkRule, ...]:
    """Return the cuts that the missing networks amount to."""
    found = []
    for place in places:
        missing = place.missing()
        scopes = {each.scope for each in missing}
        if scopes:
            whole = Scope.BOTH in scopes or len(scopes) > 1 or len(missing) == len(place.belongs)
            found.append(LinkRule(place.node, "cut", scope=Scope.BOTH if whole else scopes.pop()))
    return tuple(found)


def refuse_what_cannot_be(rules: Sequence[LinkRule]) -> None:
    """Raise Unsupported for any rule but a whole cut: an engine can only take a container off a network."""
    for rule in rules:
        if rule.effect != "cut":
            raise Unsupported(f"{rule.effect} cannot be done with containers: {SHAPE_REASON}.")
        if rule.direction is not Direction.BOTH:
            raise Unsupported(f"A cut of one direction cannot be done with containers: {ONE_WAY_REASON}.")


def to_be_missing(place: Place, rules: Sequence[LinkRule]) -> frozenset[str]:
    """Return the ids of the networks that `rules` take this container from."""
    scopes = {rule.scope for rule in rules if rule.node == place.node}
    return frozenset(
        each.network
        for each in place.belongs
        if scopes and (Scope.BOTH in scopes or each.scope is Scope.BOTH or each.scope in scopes)
    )


async def disconnect(engine: Engine, place: Place, attachment: Attachment) -> None:
    """Take the container off a network; does nothing when it is off already."""
    await engine.ask(_leave, engine, place, attachment)


def _leave(engine: Engine, place: Place, attachment: Attachment) -> None:
    try:
        engine.client.api.disconnect_container_from_network(place.container, attachment.network, force=True)
    except APIError as error:
        if "is not connected" not in str(error):
            raise


async def connect(engine: Engine, place: Place, attachment: Attachment) -> None:
    """Give the container its place back: network, aliases and, where the network lets it, the address.

    NotReady when somebody else has the address now, and the network could not be joined without it.
    """
    api = engine.client.api

    def join(address: str | None) -> None:
        try:
            api.connect_container_to_network(
                place.container, attachment.network, ipv4_address=address, aliases=list(attachment.aliases)
            )
        except APIError as error:
            if "already exists in network" not in str(error):
                raise

    def act() -> None:
        try:
            join(attachment.address or None)
        except APIError as error:
            if not any(text in str(error) for text in _ADDRESS_REFUSED):
                raise
            # What a refused connect leaves behind would make the next one fail.
            _leave(engine, place, attachment)
            join(None)

    await engine.ask(act)
    after = await engine.ask(api.inspect_container, place.container)
    if attachment.name not in after["NetworkSettings"]["Networks"]:
        raise NotReady(
            f"{place.node} was not given back to the network {attachment.name}: "
            f"`docker network connect {attachment.name} {place.container[:12]}`"
        )


SHAPE_REASON = "most kernels for containers have no netem, and the engine itself cannot shape traffic"
ONE_WAY_REASON = "taking a container off a network cuts it both ways"
SCOPE_WAY = "peers and clients have a network each"
NO_SCOPE_REASON = f"its Compose file has no two networks with {SCOPE_LABEL}, for peers and for clients"

_ADDRESS_REFUSED = ("user configured subnets", "Address already in use", "not in the same subnet")


def _with_address(now: Attachment, had: Iterable[Attachment]) -> Attachment:
    if now.address:
        return now
    return next((replace(now, address=each.address) for each in had if each.network == now.network), now)


def _attachment(name: str, raw: Mapping[str, Any], container: str, scopes: Mapping[str, Scope]) -> Attachment:
    network = str(raw["NetworkID"])
    # The engine adds the short container id to the aliases by itself.
    aliases = tuple(alias for alias in raw.get("Aliases") or () if alias != container[:12])
    return Attachment(network, name, scopes.get(network, Scope.BOTH), str(raw["IPAddress"] or ""), aliases)
