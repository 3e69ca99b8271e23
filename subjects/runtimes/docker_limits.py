"""A container's share of the cores, changed live."""

from collections.abc import Mapping
from typing import Any

from subjects.runtimes.cgroup import PERIOD_US
from subjects.runtimes.engine import TIMEOUT_S, Engine

_NANO = 1_000_000_000


def cpu_share(container: Mapping[str, Any]) -> float | None:
    """Return how many cores an inspected container may use; None when it is unlimited."""
    host = container["HostConfig"]
    if host.get("NanoCpus"):
        return float(host["NanoCpus"]) / _NANO
    quota = int(host.get("CpuQuota") or 0)
    return quota / int(host.get("CpuPeriod") or PERIOD_US) if quota > 0 else None


async def set_cpu_share(engine: Engine, container: Mapping[str, Any], cores: float | None) -> None:
    """Let the container use `cores` cores; None lifts the limit.

    The engine keeps two kinds of limit that exclude each other, and of one kind (`cpus:` in a Compose
    file) it cannot be told `unlimited`: so the kind that the container was made with is kept.
    """
    api = engine.client.api
    if container["HostConfig"].get("NanoCpus"):
        url = f"{api.base_url}/v{api.api_version}/containers/{container['Id']}/update"
        body = {"NanoCpus": int((cores or (await engine.ask(api.info))["NCPU"]) * _NANO)}
        response = await engine.ask(api.post, url, json=body, timeout=TIMEOUT_S)
        await engine.ask(response.raise_for_status)
        return
    # The kernel takes no quota under 1 ms; -1 is its word for unlimited.
    quota = -1 if cores is None else max(1000, int(cores * PERIOD_US))
    period = PERIOD_US if cores is not None else 0
    await engine.ask(api.update_container, container["Id"], cpu_quota=quota, cpu_period=period or None)
