"""`python -m tests.bench.drill`: a drill on a real etcd cluster, its result as JSON on standard output.

--trials N  --faults a,b,none  --seed S  --rate OPS
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from agent.drill.plan import DEFAULT_FAULTS, DrillSettings
from agent.drill.run import run_drill
from subjects.state import open_state
from tools.cluster import lifecycle
from tools.diagnosis.rules import RulesDiagnostician
from tools.events import Event, Failed, Notice, Progress, Table
from tools.faults.service import FaultService
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.workbench import Choice, Workbench


def tell(event: Event) -> None:
    match event:
        case Progress(text=text, done=True) | Notice(text=text) | Failed(text=text):
            print(text, file=sys.stderr, flush=True)
        case Table(title=title, columns=columns, rows=rows):
            print(title, columns, *rows, sep="\n  ", file=sys.stderr, flush=True)
        case _:
            pass


async def drill(settings: DrillSettings, folder: Path) -> dict[str, object]:
    state = open_state(folder)
    workbench = Workbench(
        state=state,
        emit=tell,
        ledger=Ledger(),
        incidents=IncidentStore(state.database),
        faults=FaultService(state, settings.seed),
        diagnostician=RulesDiagnostician(),
        choice=Choice("etcd", "process"),
    )
    try:
        await lifecycle.start(workbench)
        return await run_drill(workbench, settings)
    finally:
        await workbench.faults.heal_own()
        if workbench.cluster is not None:
            await lifecycle.stop(workbench)
        workbench.faults.close()
        workbench.incidents.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--faults", default=",".join(DEFAULT_FAULTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=100.0)
    given = parser.parse_args()
    settings = DrillSettings(given.trials, tuple(given.faults.split(",")), given.seed, rate=given.rate)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(drill(settings, Path(folder))), indent=1))


if __name__ == "__main__":
    main()
