"""A client of `operator mcp` breaks a store of a real cluster and goes away: nothing stays broken."""

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from tests.standins.mcp_wire_standin import operator_mcp

pytest.importorskip("mcp")


def naming(folder: Path) -> list[str]:
    """Return the command lines that name the folder: the members of the cluster in it, and who keeps them."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(str(folder) in word for word in words):
            found.append(" ".join(words))
    return found


@pytest.mark.slow
async def test_what_a_client_breaks_and_leaves_is_healed_and_stopped(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with operator_mcp(state, "--allow-faults") as wire:
        assert '"state":"healthy"' in await wire.call("cluster_start")
        assert len(naming(state / "clusters")) >= 3
        assert '"verified":true' in await wire.call("store_kill", target="follower")
        assert '"detected":true' in await wire.call("wait_for_detection", timeout_s=60)
        assert '"kind":"crash"' in await wire.call("diagnose")
        left = await wire.hang_up()  # without a heal

        assert left == b""
        assert wire.process.returncode == 0

    deadline = time.monotonic() + 10
    while (members := naming(state / "clusters")) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    assert members == []
    said = (tmp_path / "told").read_text()
    assert "(kill) was healed" in said
    assert "was stopped" in said
