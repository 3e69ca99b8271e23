"""What the programs in pods ask of their node: names, and how their pod routes."""

import asyncio
import json
from pathlib import Path

from tests.standins.kubernetes_standin.kinds import Object
from tests.standins.kubernetes_standin.kubelet import Kubelet
from tests.standins.kubernetes_standin.pod_network import Rule


async def serve(kubelet: Kubelet, path: Path) -> asyncio.Server:
    """Answer one JSON line with another, on a socket that pods find in STANDIN_SOCKET."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        writer.write(json.dumps(_answer(kubelet, asked)).encode() + b"\n")
        writer.close()

    return await asyncio.start_unix_server(connected, path)


def _answer(kubelet: Kubelet, asked: Object) -> object:
    running = kubelet.pods.get(asked["pod"])
    if running is None:
        return None
    network, door = kubelet.network, running.door
    match asked["act"]:
        case "lookup":
            name = asked["name"]
            if name in ("localhost", "127.0.0.1"):
                return door.hidden
            found = kubelet.lookup(name, running.pod["metadata"]["namespace"]) or name
            return network.inner_of(found)
        case "processes":
            return [[pid, _name(pid)] for pid in sorted(running.pids())]
        case "rules":
            return [[each.priority, each.to, each.passes] for each in sorted(door.rules)]
        case "route":
            network.set_rules(door, [Rule(*each) for each in asked["rules"]])
    return None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
