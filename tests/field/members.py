"""etcd members started by hand, as anybody would: plain processes, nothing of operator's around them."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from subjects.runtimes.ports import free_ports
from tests.field.links import Links
from tests.standins.etcd_members import etcd_binary

HOST = "127.0.0.1"
START_S = 30.0


class NotHere(Exception):
    """What a case takes is not on this machine: it is left out, aloud."""


def binary(version: str = "embedded") -> Path:
    """Return an etcd: the one that comes with operator, or one of a series (`3.4`, `3.6`) where there is one.

    Others are looked for on PATH and in the folders that OPERATOR_FIELD_ETCD names, as `etcd` or `etcd-*`.
    """
    if version == "embedded":
        return etcd_binary()
    folders = [Path(each) for each in os.environ.get("OPERATOR_FIELD_ETCD", "").split(":") if each]
    found = [path for folder in folders for path in sorted(folder.glob("etcd*")) if path.is_file()]
    on_path = shutil.which("etcd")
    for path in [*found, *([Path(on_path)] if on_path else []), etcd_binary()]:
        if os.access(path, os.X_OK) and version_of(path).startswith(f"{version}."):
            return path
    raise NotHere(f"there is no etcd {version}: OPERATOR_FIELD_ETCD names folders with others")


def version_of(path: Path) -> str:
    """Return what an etcd says its version is; empty when it is none."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.partition("etcd Version: ")[2].partition("\n")[0]


@dataclass
class Member:
    """One member: where it is, how it is started, and its process while it runs."""

    name: str
    folder: Path
    client: str
    """The URL that clients use."""
    peer: str
    """The URL that its peers are told."""
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on its own data."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **self.env}
            )

    def end(self, number: int = signal.SIGKILL) -> float:
        """End it by a signal; return the monotonic time just after the signal."""
        assert self.process is not None
        self.process.send_signal(number)
        at = time.monotonic()
        self.process.wait(20)
        return at

    def send(self, number: int) -> float:
        """Send a signal that does not end it; return the monotonic time just after."""
        assert self.process is not None
        self.process.send_signal(number)
        return time.monotonic()

    def log(self) -> str:
        """Return what it wrote."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace")


class Members:
    """A cluster of members in a folder; `with` starts it and leaves nothing behind."""

    def __init__(
        self,
        folder: Path,
        count: int = 3,
        *,
        version: str = "embedded",
        args: Sequence[str] = (),
        each: Mapping[int, Sequence[str]] | None = None,
        scheme: str = "http",
        advertise: Mapping[int, str] | None = None,
        relayed: bool = False,
        wrap: Mapping[int, Sequence[str]] | None = None,
        env: Mapping[int, Mapping[str, str]] | None = None,
        host: str = HOST,
        client_context: ssl.SSLContext | None = None,
        auth: str | None = None,
    ) -> None:
        """`args` goes to all members, `each` and `wrap` (a program before etcd) to one; `relayed` links."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.etcd = binary(version)
        self.links = Links() if relayed else None
        self.auth = auth
        self._context = client_context
        shown = f"[{host}]" if ":" in host else host
        ports = free_ports(3 * count)
        names = [f"m{n}" for n in range(count)]
        peers = [f"http://{HOST}:{ports[3 * n + 1]}" for n in range(count)]
        self.initial = ",".join(f"{name}={peer}" for name, peer in zip(names, peers, strict=True))
        self.members: list[Member] = []
        for n, name in enumerate(names):
            client, inner = f"{scheme}://{shown}:{ports[3 * n]}", f"http://{HOST}:{ports[3 * n + 2]}"
            if self.links is not None:
                self.links.add(name, ports[3 * n + 1], ports[3 * n + 2])
            more = [*args, *(each or {}).get(n, ())]
            self.members.append(
                Member(
                    name,
                    folder,
                    client,
                    peers[n],
                    [
                        *(wrap or {}).get(n, ()),
                        *self.argv(name, client, peers[n], self.initial, "new", more),
                        f"--advertise-client-urls={(advertise or {}).get(n, client)}",
                        f"--listen-peer-urls={inner if self.links else peers[n]}",
                    ],
                    dict((env or {}).get(n, {})),
                )
            )

    def argv(
        self, name: str, client: str, peer: str, initial: str, state: str, more: Sequence[str] = ()
    ) -> list[str]:
        """Return the command line of a member, without what it advertises to clients and its peer port."""
        return [
            str(self.etcd),
            f"--name={name}",
            f"--data-dir={self.folder / name}",
            f"--listen-client-urls={client}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={initial}",
            f"--initial-cluster-state={state}",
            f"--initial-cluster-token={self.folder.name}",
            "--logger=zap",
            *more,
        ]

    def spare(self, name: str, initial: str, state: str = "existing", more: Sequence[str] = ()) -> Member:
        """Return a further member that is not started: to be added, or to take another's place."""
        client, peer = (f"http://{HOST}:{port}" for port in free_ports(2))
        argv = self.argv(name, client, peer, f"{initial},{name}={peer}" if initial else "", state, more)
        member = Member(
            name,
            self.folder,
            client,
            peer,
            [*argv, f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"],
        )
        self.members.append(member)
        return member

    def __enter__(self) -> Self:
        try:
            for member in self.members:
                member.start()
            self.wait(lambda: all(self.healthy(n) for n in range(len(self.members))), "all healthy")
            if self.links is not None:
                self.links.ids.update({self.id(n): member.name for n, member in enumerate(self.members)})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            if member.process is not None and member.process.poll() is None:
                member.process.kill()
                member.process.wait()
        if self.links is not None:
            self.links.close()

    def __getitem__(self, n: int) -> Member:
        return self.members[n]

    @property
    def endpoints(self) -> str:
        """As `--endpoints` takes them."""
        return ",".join(member.client for member in self.members if member.process is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all members."""
        return tuple(member.name for member in self.members)

    # What is true, asked in the plainest way.

    def put(self, n: int, key: str = "k", value: bytes = b"v", timeout_s: float = 3.0) -> bool:
        """Write through one member; whether it was acknowledged."""
        said = self.try_post(n, "kv/put", {"key": _b64(key), "value": b64encode(value).decode()}, timeout_s)
        return said is not None

    def read(self, n: int, *, serializable: bool = False, timeout_s: float = 3.0) -> bool:
        """Read through one member; whether there was an answer."""
        body = {"key": _b64("k"), "serializable": serializable}
        return self.try_post(n, "kv/range", body, timeout_s) is not None

    def truth(self, n: int = 0, timeout_s: float = 3.0) -> dict[str, bool]:
        """Say what clients of one member can do."""
        return {
            "put": self.put(n, timeout_s=timeout_s),
            "linearizable": self.read(n, timeout_s=timeout_s),
            "serializable": self.read(n, serializable=True, timeout_s=timeout_s),
        }

    def healthy(self, n: int) -> bool:
        """Whether a member can read linearizably, alarms or not."""
        return self.read(n, timeout_s=1.0)

    def id(self, n: int) -> str:
        """Return a member's id, hexadecimal."""
        return f"{int(self.post(n, 'maintenance/status')['header']['member_id']):x}"

    def leader(self, n: int | None = None) -> int:
        """Return the leader's index, as member `n` (else whoever answers) has it."""
        asked = range(len(self.members)) if n is None else (n,)
        for one in asked:
            said = self.try_post(one, "maintenance/status", {}, 2.0)
            if said and said.get("leader", "0") != "0":
                for k in range(len(self.members)):
                    other = self.try_post(k, "maintenance/status", {}, 2.0)
                    if other and other["header"]["member_id"] == said["leader"]:
                        return k
        raise AssertionError("nobody says who leads")

    def follower(self) -> int:
        """Return the index of a running member that does not lead."""
        leader = self.leader()
        return next(n for n in range(len(self.members)) if n != leader and self.healthy(n))

    def post(self, n: int, method: str, body: Mapping[str, Any] | None = None, timeout_s: float = 5.0) -> Any:
        """Call the JSON gateway; OSError or ValueError where it fails."""
        headers = {"Content-Type": "application/json"}
        if self.auth is not None:
            user, _, password = self.auth.partition(":")
            who = json.dumps({"name": user, "password": password}).encode()
            headers["Authorization"] = self._send(n, "auth/authenticate", who, {}, timeout_s)["token"]
        return self._send(n, method, json.dumps(body or {}).encode(), headers, timeout_s)

    def change(self, n: int, method: str, body: Mapping[str, Any]) -> None:
        """Change the members; etcd refuses that for the first seconds after they found each other."""
        self.wait(lambda: self.try_post(n, f"cluster/member/{method}", body, 5.0) is not None, method)

    def try_post(self, n: int, method: str, body: Mapping[str, Any], timeout_s: float) -> Any:
        """Call the JSON gateway; None where it fails."""
        try:
            return self.post(n, method, body, timeout_s)
        except (OSError, ValueError, KeyError):
            return None

    def _send(self, n: int, method: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Any:
        request = urllib.request.Request(f"{self.members[n].client}/v3/{method}", body, dict(headers))
        with urllib.request.urlopen(request, timeout=timeout_s, context=self._context) as answer:
            return json.load(answer)

    @staticmethod
    def wait(holds: Any, what: str, timeout_s: float = START_S) -> None:
        """Wait for a condition."""
        until = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < until, f"it did not come true in {timeout_s:.0f} s: {what}"
            time.sleep(0.05)


def _b64(text: str) -> str:
    return b64encode(text.encode()).decode()
