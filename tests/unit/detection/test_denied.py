"""A member that refuses our client certificate is not blamed for it: others get in, and it is up."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.field.papers import Authority
from tools.detection.probe import HeldProbe, Reports
from tools.observe.signal import HEALTH_PORT, Signal
from tools.observe.targets import DENIED, ProbeTarget, probe_new_connection

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
"""The older one refuses in the handshake, the newer one after it."""


@contextmanager
def strict(authority: Authority, version: ssl.TLSVersion) -> Iterator[ProbeTarget]:
    """Serve what wants a client certificate, and refuses as etcd does; the target shows none."""
    shown = authority.sign("server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.cert))
    context.load_cert_chain(str(shown.cert), str(shown.key))
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version

    def refuse(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                plain, _ = server.accept()
                wire = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                with wire, suppress(OSError):
                    try:
                        wire.do_handshake()
                    finally:  # what came meanwhile is read, or the alert would be lost with a reset
                        socket.socket.shutdown(wire, socket.SHUT_WR)
                        while socket.socket.recv(wire, 4096):
                            pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=refuse, args=(server,), daemon=True)
        thread.start()
        port = server.getsockname()[1]
        request = b"GET /health HTTP/1.1\r\n\r\n"
        yield ProbeTarget("m1", HEALTH_PORT, "127.0.0.1", port, request, authority.context())
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_new_connection_says_whose_fault_it_is(tmp_path: Path, version: ssl.TLSVersion) -> None:
    with strict(Authority(tmp_path), version) as target:
        assert await probe_new_connection(target) == DENIED


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_held_one_says_it_once(tmp_path: Path, version: ssl.TLSVersion) -> None:
    told: asyncio.Queue[Signal] = asyncio.Queue()
    with strict(Authority(tmp_path), version) as target:
        probe = HeldProbe(target, Reports(told.put_nowait, lambda _: None))
        for _ in range(3):
            probe.ask()
            async with asyncio.timeout(30):
                while probe.owes:
                    await asyncio.sleep(0.01)
        await probe.aclose()

    kinds = [told.get_nowait().kind for _ in range(told.qsize())]

    assert kinds == ["denied"]
