"""A TiKV cluster whose PDs, stores and engine say what a test lets them say."""

import time
from collections.abc import Mapping
from typing import Any

import httpx2
import respx

from subjects.base import ClusterSnapshot, ProcessState, ProcessView
from subjects.runtimes.endpoints import EndpointNodes
from subjects.tikv.members import Member
from subjects.tikv.pd import PdClient
from subjects.tikv.subject import TikvSubject
from tests.unit.tikv import pd_answers

PDS = ("pd0", "pd1", "pd2")
NUMBERS = (1, 2, 3)
REGIONS = 21


class Engine(EndpointNodes):
    """Says of processes what the test lets it say."""

    def __init__(self) -> None:
        self.views: dict[str, ProcessView] = {}

    async def inspect(self, node: str) -> ProcessView:
        return self.views.get(node, ProcessView(ProcessState.RUNNING, raw="running"))


class World:
    """A TiKV cluster that answers as constructed. Stores have no gRPC port here: the stand-ins have."""

    def __init__(self, http: respx.MockRouter) -> None:
        self.http = http
        self.engine = Engine()
        members = [Member(name, "pd", f"http://{name}:2379") for name in PDS]
        members += [Member(f"tikv{number}", "store", f"http://tikv{number}:20180") for number in NUMBERS]
        self.subject = TikvSubject(members, self.engine, PdClient([f"http://{name}:2379" for name in PDS]))
        self.counters: dict[int, str] = {}
        self.pd()
        for number in NUMBERS:
            self.store_answers(number)

    def pd(
        self,
        leader: str = "pd0",
        short: Mapping[str, list[dict[str, Any]]] | None = None,
        **changed: Mapping[str, Any],
    ) -> None:
        """Have PD say all is well, but for `changed` stores and the regions of `short`, by check."""
        rows = [pd_answers.store(n, time.time(), **changed.get(f"tikv{n}", {})) for n in NUMBERS]
        checks = {check: (short or {}).get(check, []) for check in ("miss-peer", "pending-peer", "down-peer")}
        for name in PDS:
            base = f"http://{name}:2379/pd/api/v1"
            self.http.get(f"{base}/ping").respond(200)
            self.http.get(f"{base}/status").respond(200, json={"start_timestamp": 1767225600})
            self.http.get(f"{base}/members").respond(200, text=pd_answers.members(leader))
            self.http.get(f"{base}/stores").respond(200, text=pd_answers.stores(*rows))
            self.http.get(f"{base}/regions/count").respond(200, json={"count": REGIONS, "regions": None})
            for check, regions in checks.items():
                body = {"count": len(regions), "regions": regions}
                self.http.get(f"{base}/regions/check/{check}").respond(200, json=body)
            self.http.get(f"{base}/config/replicate").respond(200, json={"max-replicas": 3})

    def store_answers(self, number: int, failures: Mapping[int, int] | None = None, heard: int = 0) -> None:
        lines = [
            f'tikv_server_report_failure_msg_total{{type="unreachable",store_id="{about}"}} {count}'
            for about, count in (failures or {}).items()
        ]
        lines += [
            f'tikv_raftstore_message_recv_by_store{{store="{n}"}} {heard}' for n in NUMBERS if n != number
        ]
        self.http.get(f"http://tikv{number}:20180/status").respond(200)
        self.http.get(f"http://tikv{number}:20180/metrics").respond(200, text="\n".join(lines) + "\n")

    def store_fails(self, number: int, error: httpx2.HTTPError) -> None:
        for path in ("status", "metrics"):
            self.http.get(f"http://tikv{number}:20180/{path}").mock(side_effect=error)

    async def look(self) -> ClusterSnapshot:
        self.subject._metrics_at.clear()
        return await self.subject.observe()
