"""The programs of a pod's image that speak to its network, for a shell on this machine.

Run as `python -S -E pod_tools.py NAME ARGUMENTS`; imports only what starts fast.
"""

import json
import os
import select
import socket
import sys


def ask(act: str, **more: object) -> object:
    """Ask the node."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(os.environ["STANDIN_SOCKET"])
        wire.sendall(json.dumps({"pod": os.environ["STANDIN_POD"], "act": act, **more}).encode() + b"\n")
        return json.loads(wire.makefile().readline() or "null")


def fail(text: str, code: int = 1) -> None:
    """End as a program that failed."""
    print(text, file=sys.stderr)
    sys.exit(code)


def nc(words: list[str]) -> None:
    """Connect standard input and output to a port, as busybox's does."""
    wait_s, just_looks, rest = None, False, []
    while words:
        word = words.pop(0)
        if word == "-w":
            wait_s = float(words.pop(0))
        elif word.startswith("-"):
            just_looks = just_looks or "z" in word
        else:
            rest.append(word)
    host, port = rest
    try:
        wire = socket.create_connection((str(ask("lookup", name=host)), int(port)), timeout=wait_s)
    except OSError as error:
        fail(f"nc: {host} ({host}:{port}): {error.strerror or 'timed out'}")
    if just_looks:
        return
    wire.settimeout(None)
    sources: list[socket.socket | int] = [wire, 0]
    try:
        while wire in sources:
            for source in select.select(sources, [], [])[0]:
                data = wire.recv(65536) if source is wire else os.read(0, 65536)
                if not data and source is wire:
                    return
                if source is wire:
                    os.write(1, data)
                elif data:
                    wire.sendall(data)
                else:
                    sources.remove(source)
                    wire.shutdown(socket.SHUT_WR)
    except ConnectionError as error:
        fail(f"nc: {error.strerror}")


OF_ROUTES, MAIN, ANYWHERE = 32000, 32766, "0.0.0.0/0"
"""Priorities: blackhole routes are looked up after rules."""


def ip(words: list[str]) -> None:
    """Blackholes: `ip rule add pref N [to PREFIX] type blackhole|lookup main`, `ip route add blackhole`."""
    words = [word for word in words if not word.startswith("-")]
    what, act, rest = words[0] if words else "", words[1] if words[1:] else "show", words[2:]
    rules = [tuple(each) for each in ask("rules")]  # type: ignore[attr-defined]
    if what in ("ru", "rule", "rules"):
        values = dict(zip(rest[::2], rest[1::2], strict=False))
        priority = int(values.get("pref") or values.get("priority") or values.get("preference") or 0)
        lost = "blackhole" in rest
        _change(rules, act, (priority, values.get("to", ANYWHERE), not lost), by_priority="to" not in values)
    elif what in ("r", "ro", "route"):
        prefix = ([word for word in rest if word != "blackhole"] or [""])[0]
        _change(
            rules, act, (OF_ROUTES, ANYWHERE if prefix == "default" else prefix, False), by_priority=False
        )
    else:
        fail(f"ip: {' '.join(words)}: not in this stand-in")
    if act in ("show", "list", "ls") and what.startswith("ru"):
        for priority, to, passes in [(0, "", True), *rules, (MAIN, "", True)]:
            where = f" to {to}" if to not in ("", ANYWHERE) else ""
            print(f"{priority}:\tfrom all{where} {'lookup main' if passes else 'blackhole'}")
    elif act in ("show", "list", "ls"):
        print("default via 127.0.0.1 dev eth0")
        for priority, to, _ in rules:
            if priority == OF_ROUTES:
                print(f"blackhole {to}")


def _change(
    rules: list[tuple[object, ...]], act: str, meant: tuple[object, ...], *, by_priority: bool
) -> None:
    present = [each for each in rules if each == meant or (by_priority and each[0] == meant[0])]
    match act:
        case "add" if meant in rules:
            fail("ip: RTNETLINK answers: File exists", 2)
        case "add" | "append" | "replace":
            ask("route", rules=[*rules, meant])
        case "del" | "delete" if not present:
            fail("ip: RTNETLINK answers: No such file or directory", 2)
        case "del" | "delete":
            rules.remove(present[0])
            ask("route", rules=rules)
        case "flush":
            ask("route", rules=[])


def pidof(words: list[str]) -> None:
    """Print the processes of that name."""
    found = [str(pid) for pid, name in ask("processes") if name in words]  # type: ignore[attr-defined]
    print(" ".join(found))
    sys.exit(not found)


def nslookup(words: list[str]) -> None:
    """Look a name up."""
    found = str(ask("lookup", name=words[0]))
    if found == words[0]:
        fail(f"** server can't find {words[0]}: NXDOMAIN")
    print(f"Name:\t{words[0]}\nAddress: {found}")


TOOLS = {"ip": ip, "nc": nc, "nslookup": nslookup, "pidof": pidof}

if __name__ == "__main__":
    if sys.argv[1] not in TOOLS:
        fail(f"{sys.argv[1]}: not in this stand-in", 127)
    TOOLS[sys.argv[1]](sys.argv[2:])
