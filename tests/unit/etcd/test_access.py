"""What clusters ask of their clients: encrypted keys, and tokens that nobody gives out at the moment."""

import asyncio
import os
import pty
import select
import sys
from pathlib import Path

import pytest
import respx
from cryptography.hazmat.primitives import serialization

from subjects.access import Access
from subjects.base import UnseenReason
from subjects.errors import Unreachable
from subjects.etcd.client import EtcdClient
from tests.standins.authority import Authority

MEMBER = "http://m1:2379"
BOUND_S = 60.0
"""Ends what hangs."""
PROGRAM = """
import sys
from pathlib import Path
from subjects.access import Access
from subjects.errors import BadSetup
try:
    Access(None, Path(sys.argv[1]), Path(sys.argv[2])).ssl_context()
except BadSetup as error:
    print(error)
"""


def test_an_encrypted_key_is_refused_and_no_password_asked_for_at_the_terminal(tmp_path: Path) -> None:
    signed = Authority(tmp_path).sign("ours")
    key = serialization.load_pem_private_key(signed.key.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"secret")
    signed.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(signed.cert), str(signed.key)])
    said = b""
    try:
        while b"cannot be read" not in said and b"pass phrase" not in said:
            ready, _, _ = select.select([terminal], [], [], BOUND_S)
            assert ready, said
            said += os.read(terminal, 4096)
    finally:
        os.close(terminal)
        os.waitpid(child, 0)

    assert b"pass phrase" not in said


@respx.mock
async def test_a_cluster_without_a_leader_refuses_no_user(respx_mock: respx.MockRouter) -> None:
    asked = respx_mock.post(f"{MEMBER}/v3/auth/authenticate")
    asked.respond(503, json={"error": "etcdserver: no leader", "code": 14})
    client = EtcdClient(Access(user="root", password="right"))
    for _ in range(2):
        with pytest.raises(Unreachable, match="no leader") as told:
            await client.status(MEMBER, BOUND_S)
        assert told.value.unseen is not None
        assert told.value.unseen.reason is not UnseenReason.DENIED
    await client.aclose()

    assert asked.call_count == 2


@respx.mock
async def test_members_do_not_wait_one_after_the_other_for_a_token(respx_mock: respx.MockRouter) -> None:
    asked: list[object] = []

    async def silent(request: object) -> None:
        asked.append(request)
        await asyncio.Event().wait()

    respx_mock.post(f"{MEMBER}/v3/auth/authenticate").mock(side_effect=silent)
    client = EtcdClient(Access(user="root", password="right"))
    bounds_s = (1.0, 0.1, 0.1, 0.1)
    said = await asyncio.gather(*(client.status(MEMBER, each) for each in bounds_s), return_exceptions=True)
    await client.aclose()

    assert all(isinstance(each, Unreachable) for each in said), said
    assert len(asked) == 1
