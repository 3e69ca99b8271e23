"""One real etcd that speaks TLS with a certificate that it signed itself."""

import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Self

from subjects.runtimes.ports import free_ports
from tests.standins.etcd_members import etcd_binary


class TlsEtcd:
    """A member in a folder; `with` starts it and leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        client, peer = free_ports(2)
        self.port = client
        self.url = f"https://127.0.0.1:{client}"
        self.certificate = folder / "data" / "fixtures" / "client" / "cert.pem"
        self._argv = [
            str(etcd_binary()),
            "--name=secured",
            f"--data-dir={folder / 'data'}",
            "--auto-tls",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=secured=http://127.0.0.1:{peer}",
        ]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "etcd did not come up"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL it."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=1) as plain,
                context.wrap_socket(plain) as wire,
            ):
                wire.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                return b'"true"' in wire.recv(4096) + wire.recv(4096)
        except OSError:
            return False
