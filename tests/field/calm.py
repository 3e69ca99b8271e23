"""`python -m tests.field.calm [--minutes 30]`: a cluster under load and upkeep; nothing may be reported.

Three members over TLS that ask for users, tokens of a minute, load through all of them, the members' and our
certificates renewed on disk every two minutes, and one member defragmented each minute. Prints JSON.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.field.catalogue.access import ROOT, enable_auth, tls
from tests.field.members import Members
from tests.field.papers import Authority, Signed
from tests.field.watching import Watch


def main(arguments: list[str]) -> int:
    """Watch for so many minutes; 1 if anything was detected."""
    parser = argparse.ArgumentParser(prog="python -m tests.field.calm")
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args(arguments).minutes
    stop, done = threading.Event(), {"puts": 0, "failed": 0, "defragmented": 0, "renewed": 0}
    with tempfile.TemporaryDirectory(prefix="calm-") as name:
        folder = Path(name)
        authority = Authority(folder)
        ours, load = authority.sign("client", common_name="root"), authority.sign("load", common_name="root")
        shown = authority.sign("server")
        args = tls(shown)
        options = ["--cacert", str(authority.cert), "--cert", str(ours.cert), "--key", str(ours.key)]
        context = authority.context(load)
        args += ["--auth-token-ttl=60", "--auto-compaction-mode=revision", "--auto-compaction-retention=1000"]
        with Members(folder / "c", 3, scheme="https", args=args, client_context=context) as etcd:
            enable_auth(etcd)
            with Watch(etcd.endpoints, folder, options=options, environ=ROOT) as watch:
                writers = [threading.Thread(target=_write, args=(etcd, n, stop, done)) for n in range(3)]
                for writer in writers:
                    writer.start()
                _keep(etcd, authority, (ours, shown), minutes, done)
                stop.set()
                for writer in writers:
                    writer.join()
                watch.end()
                found = [
                    [line["text"], *(each["raw"] for each in line["signals"])]
                    for line in watch.of("detection")
                ]
    print(json.dumps({"minutes": minutes, "detections": len(found), "texts": found[:20], **done}))
    return 1 if found else 0


def _keep(
    etcd: Members, authority: Authority, papers: Sequence[Signed], minutes: float, done: dict[str, int]
) -> None:
    until, turn = time.monotonic() + minutes * 60, 0
    while time.monotonic() < until:
        time.sleep(min(30.0, max(0.0, until - time.monotonic())))
        turn += 1
        if turn % 2 == 0:
            etcd.post(turn // 2 % 3, "maintenance/defragment", timeout_s=30)
            done["defragmented"] += 1
        if turn % 4 == 1:
            for n, old in enumerate(papers):
                fresh = authority.sign(f"fresh{turn}-{n}", common_name="root")
                fresh.key.replace(old.key)
                fresh.cert.replace(old.cert)
            done["renewed"] += 1


def _write(etcd: Members, n: int, stop: threading.Event, done: dict[str, int]) -> None:
    while not stop.is_set():
        ok = etcd.put(n, f"k{done['puts'] % 500}", b"x" * 500, timeout_s=10)
        done["puts" if ok else "failed"] += 1
        stop.wait(0.05)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
