"""One trial: wait until all is healthy, inject, wait, diagnose, heal, confirm."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from agent.drill.plan import HEALED, NOISY, DrillSettings, Trial
from agent.drill.score import Scored, judge
from subjects import clock
from subjects.base import ClusterState, Subject
from subjects.errors import SubjectError
from tools.detection.monitor import Monitor
from tools.diagnosis.base import Case
from tools.diagnosis.schema import Diagnosis
from tools.diagnosis.tools import open_case
from tools.errors import NothingToDo, ToolError
from tools.faults.recovery import Recovery, confirm
from tools.faults.service import Injection
from tools.observe.signal import Detection
from tools.workbench import Workbench

CALM_S = 90.0
"""How long all may take to be healthy before a trial: leader changes count for a minute."""
CALM_HOLD_S = 1.0
BRIEF_S = 1.0
"""How long a fault lasts that is over before anybody looks."""
GATHER_S = 1.5
"""Between detection and diagnosis: what follows from a fault is seen a moment later."""
QUIET_S = 4.0
"""How long a control is watched, in which nothing should be detected."""
NOISE_PER_S = 40
"""Connections per second to a noisy node."""
_NOISE = b"GET /nothing-here HTTP/1.1\r\nHost: noise\r\nConnection: close\r\n\r\n"


class NotCalm(Exception):
    """The cluster did not become healthy, so that nothing can be tried on it."""


@dataclass(slots=True)
class Run:
    """One trial under way."""

    trial: Trial
    settings: DrillSettings
    workbench: Workbench
    began: float = 0.0
    began_wall: float = 0.0
    injection: Injection | None = None
    detection: Detection | None = None
    found: Diagnosis | None = None
    diagnose_s: float | None = None
    heal_s: float | None = None
    recovery: Recovery | None = None
    problem: str = ""
    """Why it came to no diagnosis."""
    unhealed: str = ""
    """What the last heal that had anything to do did not undo."""
    members: dict[str, str | None] = field(default_factory=dict)

    @property
    def monitor(self) -> Monitor:
        """The monitor; there is one wherever there is a cluster that runs."""
        if self.workbench.monitor is None:
            raise NotCalm("Nothing is being watched.")
        return self.workbench.monitor

    async def go(self) -> Scored:
        """Run it to its end; whatever fails in it is in the score, and the fault is healed."""
        await self._calm()
        try:
            await asyncio.sleep(self.trial.jitter_s)
            await self._inject()
            await self._wait()
            await self._diagnose()
        except (ToolError, SubjectError) as error:
            self.problem = str(error)
        finally:
            await self._heal()
        return self._score()

    async def _calm(self) -> None:
        """Wait until the cluster is healthy and no incident is open, for a while."""
        deadline = time.monotonic() + CALM_S
        since: float | None = None
        while True:
            snapshot = await self.workbench.require_cluster().subject.observe()
            calm = snapshot.state is ClusterState.HEALTHY and not self.monitor.open_incidents
            now = time.monotonic()
            since = (since or now) if calm else None
            if since is not None and now - since >= CALM_HOLD_S:
                break
            if now > deadline:
                raise NotCalm(
                    f"before trial {self.trial.n}: {'; '.join(snapshot.problems) or 'an open incident'}"
                )
            await asyncio.sleep(0.1)
        self.began, self.began_wall = now, clock.wall()
        self.members = {node.name: node.member_id for node in snapshot.nodes}

    async def _inject(self) -> None:
        if self.trial.kind == "none":
            return
        self.injection = await self.workbench.faults.inject(
            self.workbench.require_cluster(),
            self.trial.kind,
            self.trial.target,
            # A drill is asked for by a person, by name, on a cluster of ours; no model can start one.
            allow_quorum_loss=self.trial.kind == "quorum_loss" or self.workbench.allow_quorum_loss,
            monitor=self.workbench.monitor,
        )
        if self.trial.name == HEALED:
            await asyncio.sleep(BRIEF_S)
            await self._heal()

    async def _wait(self) -> None:
        """Wait for a detection of this trial; on a control, watch for a while that there is none."""
        bound_s = QUIET_S if self.trial.control else self.settings.detect_s
        if self.trial.name == NOISY:
            await generate_noise(self.workbench.require_cluster().subject, self.trial.target, bound_s)
            bound_s = 0.1
        injected = self.injection.record.injected_at if self.injection is not None else None
        self.detection = await self.monitor.wait(injected or self.began, bound_s)
        if self.detection is not None:
            await asyncio.sleep(GATHER_S)

    async def _diagnose(self) -> None:
        """Let the diagnostician look: it is given what was detected, or that nothing was."""
        if self.detection is not None:
            case = open_case(self.workbench, self.detection.incident)
        else:
            case = Case(None, None, self.began_wall)
        began = time.monotonic()
        self.found = await self.workbench.diagnosed(case)
        self.diagnose_s = time.monotonic() - began
        if case.incident is not None:
            await self.monitor.recorded()
            self.workbench.keep(case.incident, self.found)

    async def _heal(self) -> None:
        """Undo what is open and see that all is as it was; nothing to do when that was done already."""
        if self.recovery is not None and self.recovery.ok:
            return
        cluster = self.workbench.require_cluster()
        began, healed_wall = time.monotonic(), clock.wall()
        try:
            reports = await self.workbench.faults.heal(cluster)
            self.unhealed = "; ".join(report.text for report in reports if not report.ok)
        except NothingToDo:
            pass
        for incident in self.monitor.open_incidents:
            self.workbench.incidents.heal(incident, "undone at the end of a trial", healed_wall)
        self.recovery = await confirm(cluster, self.members, None, None)
        self.monitor.settle()
        if self.injection is not None and self.recovery.healthy_at is not None:
            self.heal_s = self.recovery.healthy_at - began

    def _score(self) -> Scored:
        record = self.injection.record if self.injection else None
        nodes = record.nodes if record else ()
        node_right, kind_right = judge(self.trial, nodes, self.found)
        detect_s = None
        if self.detection and record and record.injected_at is not None:
            detect_s = round(self.detection.at - record.injected_at, 4)
        return Scored(
            n=self.trial.n,
            fault=self.trial.name,
            kind=self.trial.kind,
            nodes=nodes,
            control=self.trial.control,
            detected=self.detection is not None,
            detect_s=detect_s,
            diagnose_s=_rounded(self.diagnose_s),
            heal_s=_rounded(self.heal_s),
            restored=self.recovery is not None and self.recovery.ok and not self.unhealed,
            diagnosed_kind=self.found.kind.value if self.found else None,
            diagnosed_nodes=self.found.nodes if self.found else (),
            confidence=self.found.confidence.value if self.found else None,
            verified=self.found.verified if self.found else None,
            by=self.found.by if self.found else None,
            node_right=node_right,
            kind_right=kind_right,
            diagnosis=self.found.as_result() if self.found else None,
            problem=self.problem or self.unhealed,
            seconds=round(time.monotonic() - self.began, 1),
        )


async def generate_noise(subject: Subject, node: str, seconds: float) -> None:
    """Keep a healthy node busy: connect to its watched port, ask for what is not there, and hang up."""
    host, port = subject.watch_address(node)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                _, writer = await asyncio.open_connection(host, port)
                writer.write(_NOISE)
                await writer.drain()
                writer.transport.abort()
        await asyncio.sleep(1 / NOISE_PER_S)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 4)
