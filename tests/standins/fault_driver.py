"""An operator reduced to its faults: `python -m tests.standins.fault_driver STATE KIND [MOMENT]`.

Injects one fault into the state folder's cluster, prints its number, and goes on until it is killed. With
MOMENT it kills itself: `planned`, once all is written down and nothing done; `acted`, once it is done and
nobody has noted it.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from subjects.base import Cluster
from subjects.clusters import open_cluster
from subjects.state import open_state
from tests.standins.embedded import ETCD
from tools.faults.catalogue import Settings
from tools.faults.service import FaultService
from tools.faults.steps import Step


class DyingService(FaultService):
    """Ends itself as `kill -9` would, at a given moment of an injection."""

    moment = ""

    async def _do(self, cluster: Cluster, number: int, steps: Sequence[Step]) -> None:
        if self.moment == "planned":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.moment == "acted":
            for step in steps:
                await step.do(cluster)
            os.kill(os.getpid(), signal.SIGKILL)
        await super()._do(cluster, number, steps)


async def main() -> None:
    state = open_state(Path(sys.argv[1]))
    cluster = await open_cluster(state, ETCD)
    service = DyingService(state)
    service.moment = sys.argv[3] if len(sys.argv) > 3 else ""
    settings = Settings(ttl_s=float(os.environ.get("FAULT_TTL_S", "300")))
    several = bool(os.environ.get("FAULT_SEVERAL"))
    done = await service.inject(
        cluster, sys.argv[2], settings=settings, several=several, allow_quorum_loss=True
    )
    print(done.record.id, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
