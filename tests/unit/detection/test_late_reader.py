"""An answer that came while we were kept from reading it is an answer."""

import asyncio
import time

from tests.standins.many_nodes import HOST, HealthServer, Manner
from tools.observe.signal import HEALTH_PORT
from tools.observe.targets import NO_ANSWER, WITHIN_S, ProbeTarget, probe_new_connection


def target(server: HealthServer) -> ProbeTarget:
    return ProbeTarget("n1", HEALTH_PORT, HOST, server.port, b"GET /health HTTP/1.1\r\n\r\n")


async def test_a_process_that_was_held_up_blames_no_node() -> None:
    server = HealthServer()
    await server.start()
    asking = asyncio.create_task(probe_new_connection(target(server)))
    while not server.asked:  # the question is there; from now on this process stands still
        await asyncio.sleep(0)
    time.sleep(WITHIN_S + 0.1)  # noqa: ASYNC251 - this is what is tried

    assert await asking is None
    server.die()


async def test_a_node_that_does_not_answer_is_told() -> None:
    server = HealthServer(Manner.SILENT)
    await server.start()

    assert await probe_new_connection(target(server)) == NO_ANSWER
    server.die()
