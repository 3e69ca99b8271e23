"""`python -m tests.standins.kubernetes_standin FOLDER`: one cluster, until it is told to end.

Prints one JSON line with where it is, once it serves. Everything that it makes is in the folder.
"""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

import yaml
from aiohttp import web

from subjects.runtimes.ports import free_ports
from tests.standins.kubernetes_standin import controllers, tool_service
from tests.standins.kubernetes_standin.access import MASTERS, Access, User
from tests.standins.kubernetes_standin.api import Api
from tests.standins.kubernetes_standin.chaos_mesh import ChaosMesh
from tests.standins.kubernetes_standin.control import Control, Front
from tests.standins.kubernetes_standin.images import make_programs
from tests.standins.kubernetes_standin.kubelet import Kubelet
from tests.standins.kubernetes_standin.removal import Removal
from tests.standins.kubernetes_standin.store import Store
from tests.standins.kubernetes_standin.streams import Streams

CONTEXT = "kind-standin"


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    folder = Path(options.folder)
    store = Store()
    kubelet = Kubelet(store, folder, reachable=options.reachable, speed=options.speed)
    make_programs(kubelet.programs)
    access, removal = Access(store), Removal(store)
    chaos_mesh = ChaosMesh(store, kubelet, options.chaos_mesh, netem=not options.no_netem)
    api = Api(store, access, removal, Streams(kubelet), options.bookmark, bool(chaos_mesh.version))
    port, inner, outer = free_ports(3)
    front = Front(port, inner)
    control = Control(api, kubelet, front, chaos_mesh)
    removal.start()
    working = (kubelet, controllers.Controllers(store, removal), chaos_mesh)
    tasks = [asyncio.create_task(each.run()) for each in working]
    await asyncio.sleep(0)
    controllers.furnish(store, options.nodes, kubelet.network.node_address)
    if chaos_mesh.version:
        chaos_mesh.install()
    runners = [await _listen(api.application(), inner), await _listen(control.application(), outer)]
    tools = await tool_service.serve(kubelet, folder / "tools.sock")
    await front.start()
    token = access.token(User("admin", (MASTERS, "system:authenticated")))
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig(f"http://127.0.0.1:{port}", token)))
    told = {"server": f"http://127.0.0.1:{port}", "control": f"http://127.0.0.1:{outer}", "token": token}
    print(json.dumps(told), flush=True)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    failed = [asyncio.ensure_future(each) for each in (*tasks, asyncio.create_task(ending.wait()))]
    done, _ = await asyncio.wait(failed, return_when=asyncio.FIRST_COMPLETED)
    await front.close()
    for task in tasks:
        task.cancel()
    await kubelet.close()
    tools.close()
    for runner in runners:
        await runner.cleanup()
    for each in done:
        each.result()


async def _listen(application: web.Application, port: int) -> web.AppRunner:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


def kubeconfig(server: str, token: str, context: str = CONTEXT) -> dict[str, object]:
    """Return a kubeconfig with one context."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "preferences": {},
        "clusters": [{"name": context, "cluster": {"server": server}}],
        "users": [{"name": context, "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument(
        "--speed", type=float, default=1.0, help="back-off and least grace, so many times shorter"
    )
    parser.add_argument("--bookmark", type=float, default=60.0)
    parser.add_argument("--reachable", action="store_true", help="pods' addresses can be reached from here")
    parser.add_argument("--chaos-mesh", default="", metavar="VERSION", help="Chaos Mesh is installed")
    parser.add_argument("--no-netem", action="store_true", help="the nodes' kernels have no sch_netem")
    if sys.version_info < (3, 12):  # later ones do so by themselves
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
