"""Readiness, liveness and startup probes."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.standins.kubernetes_standin.admission import event
from tests.standins.kubernetes_standin.containers import Instance
from tests.standins.kubernetes_standin.kinds import Object
from tests.standins.kubernetes_standin.pod import RunningPod, Slot
from tests.standins.standin_http import Channel

if TYPE_CHECKING:
    from tests.standins.kubernetes_standin.kubelet import Kubelet

SEEN_S = 0.05
"""A container without probes is ready once the kubelet has seen it run."""
_QUICK_S = 1.0


async def run(kubelet: "Kubelet", running: RunningPod, slot: Slot, instance: Instance) -> None:
    """Probe one instance until it ends."""
    spec = slot.spec

    def there() -> bool:
        return slot.instance is instance and not running.ended and instance.pid is not None

    while there() and (slot.observed is None or slot.observed.id != instance.state.id):
        await asyncio.sleep(SEEN_S)
    if "startupProbe" in spec and not await _passes(kubelet, running, slot, there, spec["startupProbe"]):
        return
    if not there():
        return
    kubelet.became(running, slot, ready="readinessProbe" not in spec, started=True)
    probes = [
        _keep(kubelet, running, slot, instance, there, kind, spec[kind])
        for kind in ("readinessProbe", "livenessProbe")
        if kind in spec
    ]
    await asyncio.gather(*probes)


async def _passes(
    kubelet: "Kubelet", running: RunningPod, slot: Slot, there: Callable[[], bool], probe: Object
) -> bool:
    while there():
        if not await check(kubelet, running, slot, probe):
            return True
        await asyncio.sleep(min(_QUICK_S, probe["periodSeconds"]))
    return False


async def _keep(
    kubelet: "Kubelet",
    running: RunningPod,
    slot: Slot,
    instance: Instance,
    there: Callable[[], bool],
    kind: str,
    probe: Object,
) -> None:
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    failures, word = 0, "Readiness" if kind == "readinessProbe" else "Liveness"
    while there():
        began = time.monotonic()
        why = await check(kubelet, running, slot, probe)
        if not there():
            return
        failures = failures + 1 if why else 0
        if why:
            text = f"{word} probe failed: {why}"
            event(
                kubelet.store,
                running.pod,
                "Unhealthy",
                text,
                "Warning",
                field=f"spec.containers{{{slot.spec['name']}}}",
            )
        if (
            kind == "readinessProbe"
            and (not why) != slot.ready
            and (not why or failures >= probe["failureThreshold"])
        ):
            kubelet.became(running, slot, ready=not why)
        if kind == "livenessProbe" and failures >= probe["failureThreshold"]:
            text = f"Container {slot.spec['name']} failed liveness probe, will be restarted"
            event(kubelet.store, running.pod, "Killing", text)
            await instance.stop(running.pod["spec"]["terminationGracePeriodSeconds"])
            return
        # A container that is not ready yet is asked more often, as the kubelet does.
        period = (
            probe["periodSeconds"]
            if slot.ready or kind == "livenessProbe"
            else min(_QUICK_S, probe["periodSeconds"])
        )
        await asyncio.sleep(max(0.0, period - (time.monotonic() - began)))


async def check(kubelet: "Kubelet", running: RunningPod, slot: Slot, probe: Object) -> str:
    """Probe once; returns why it failed, empty if it did not."""
    timeout_s = float(probe["timeoutSeconds"])
    try:
        if "exec" in probe:
            return await _executes(running, slot, probe["exec"]["command"], timeout_s)
        action = probe.get("httpGet") or probe["tcpSocket"]
        port = _port(slot.spec, action["port"])
        if "tcpSocket" in probe:
            async with asyncio.timeout(timeout_s):
                _, writer = await asyncio.open_connection(running.door.inner, port)
            writer.close()
            return ""
        return await _answers(f"{running.door.inner}:{port}", action.get("path", "/"), timeout_s)
    except TimeoutError:
        return f'Get "http://{running.door.address}": context deadline exceeded'
    except OSError as error:
        return f"dial tcp {running.door.address}: connect: {error.strerror or error}"


async def _answers(address: str, path: str, timeout_s: float) -> str:
    channel = Channel(f"http://{address}")
    try:
        status, _ = await channel.ask(path, timeout_s=timeout_s)
    finally:
        channel.close()
    return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


async def _executes(running: RunningPod, slot: Slot, command: list[str], timeout_s: float) -> str:
    assert slot.instance is not None
    process = await asyncio.create_subprocess_exec(
        *slot.instance.place.argv(command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(timeout_s):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        return f'command "{" ".join(command)}" timed out'
    return "" if process.returncode == 0 else said.decode("utf-8", "replace")[:200]


def _port(spec: Object, port: int | str) -> int:
    named = {each.get("name"): each["containerPort"] for each in spec.get("ports") or []}
    return int(named.get(port, port))
