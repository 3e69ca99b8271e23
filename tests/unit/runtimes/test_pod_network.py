"""The stand-in's network between pods: what is cut off stays cut off, however fast its connections come."""

import asyncio
import sys

import pytest

from tests.standins.kubernetes_standin.pod_network import ANYWHERE, PodNetwork, Rule

PORT = 2379
DIALS = """
import select, socket, sys
wires = [socket.create_connection((sys.argv[1], 2379)) for _ in range(5)]
for wire in wires: wire.sendall(b"?")
quiet = set(wires)
while ready := select.select(quiet, [], [], 1)[0]: quiet -= set(ready)
print(5 - len(quiet))
"""
"""Connects five times at once, and prints how many were answered."""


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(1))
    await reader.read()
    writer.close()


@pytest.mark.parametrize(
    ("rules", "answered"),
    [
        ([], 5),
        ([Rule(78, ANYWHERE, passes=False)], 0),
        ([Rule(77, "127.0.0.0/8", passes=True), Rule(78, ANYWHERE, passes=False)], 5),
    ],
    ids=["open", "cut", "open to those"],
)
async def test_what_a_pod_dials_follows_its_own_rules(rules: list[Rule], answered: int) -> None:
    dialler: set[int] = set()
    network = PodNetwork(lambda: {"near": dialler})
    try:
        near, far = network.add("near", "near", ()), network.add("far", "far", ())
        async with await asyncio.start_server(_answers, far.hidden, PORT):
            await network.refresh()
            network.set_rules(near, rules)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", DIALS, far.inner), stdout=asyncio.subprocess.PIPE
            )
            dialler.add(process.pid)
            said, _ = await process.communicate()
    finally:
        network.close()

    assert int(said) == answered
