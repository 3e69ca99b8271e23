"""Keys that somebody keeps encrypted."""

import os
import pty
import select
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from tests.standins.authority import Authority

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
