"""What the images hold, and how a container's words are made to fit this machine.

A path that a volume is mounted at becomes the volume's folder, /proc the processes of the pod, the pod's own
addresses the hidden one that its processes listen on, and names of pods their addresses.
"""

import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.standins.etcd_members import etcd_binary

ROOT = Path(__file__).parents[3]
_PAUSE = 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait $!; done'
_PRELUDE = 'kill() { for _k in "$@"; do :; done; case $_k in 1|-1|0) return 0;; esac; command kill "$@"; }\n'
"""The kernel shields process 1 of a pod from its own pod; here process 1 would be this machine's."""
_SHELLS = {"sh", "ash", "bash", "dash"}
_TOOLS = ("ip", "nc", "nft", "nslookup", "pidof", "tc", "wget")


@dataclass(frozen=True)
class Image:
    """What a container's image is."""

    entrypoint: tuple[str, ...]
    shell: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


_STANDIN_ENVIRONMENT = {"PYTHONPATH": str(ROOT)}


def find_image(reference: str) -> Image | None:
    """Return what a reference names; None for one that no registry has."""
    name = reference.partition("@")[0].rpartition("/")[2]
    match name.partition(":")[0]:
        case "pause":
            return Image(("/bin/sh", "-c", _PAUSE), shell=False)
        case "etcd":
            return Image(("etcd",), shell=False)
        case "etcd-sh":
            return Image(("etcd",))
        case "busybox" | "alpine" | "tool" | "bash" | "netshoot":
            return Image(("sh",))
        case "pd":
            return Image(("pd-server",), environment=_STANDIN_ENVIRONMENT)
        case "tikv":
            return Image(("tikv-server",), environment=_STANDIN_ENVIRONMENT)
    return None


def make_programs(folder: Path) -> None:
    """Put what containers find on their PATH into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "etcd").symlink_to(etcd_binary())
    (folder / "etcdctl").symlink_to(etcd_binary().with_name("etcdctl"))
    for name in _TOOLS:
        tool = Path(__file__).with_name("pod_tools.py")
        _script(folder / name, f'exec {sys.executable} -S -E {tool} {name} "$@"')
    for name, module in (("pd-server", "pd_standin"), ("tikv-server", "tikv_standin")):
        _script(folder / name, f'exec {sys.executable} -m tests.standins.{module} "$@"')
    _script(
        folder / "busybox",
        'name=$1; shift; case $name in sh|ash) exec /bin/sh "$@";; esac\n'
        f'PATH={folder}:$PATH exec "$name" "$@"',
    )
    _script(folder / "usleep", 'exec sleep "$(printf "%d.%06d" $(($1 / 1000000)) $(($1 % 1000000)))"')


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@dataclass(frozen=True)
class Place:
    """Where a container is on this machine."""

    folder: Path
    """Its own, where relative paths begin."""
    proc: Path
    programs: Path
    hidden: str
    """The address that it listens on."""
    mounts: Mapping[str, Path]
    resolve: Callable[[str], str]
    """Replaces names of pods and services by addresses."""

    def fit(self, text: str, own: str = "") -> str:
        """Make a container's words fit this machine; `own`, the pod's address, becomes the hidden one."""
        for path, here in sorted(self.mounts.items(), key=lambda item: -len(item[0])):
            text = re.sub(rf"(?<![\w./-]){re.escape(path.rstrip('/'))}(?![\w.-])", str(here), text)
        text = re.sub(r"(?<![\w./-])/proc(?=[/\s\"']|$)", str(self.proc), text)
        text = re.sub(
            r"(?<![\w.-])(0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\])(?=[:/\s\"',]|$)", self.hidden, text
        )
        text = re.sub(r"(?<![\w./-])(?:/usr)?(?:/local)?/s?bin/([\w-]+)", self._program, text)
        if own:
            text = re.sub(rf"(?<![\d.]){re.escape(own)}(?![\d.])", self.hidden, text)
        return self.resolve(text)

    def argv(self, words: Sequence[str], own: str = "") -> list[str]:
        """Make a command fit: programs by name, in a shell that can't reach this machine's process 1."""
        program = Path(words[0]).name
        rest = [
            self._of_image(word)
            or self.fit(word, own if "listen" in word or word.startswith("--addr") else "")
            for word in words[1:]
        ]
        if program in _SHELLS:
            if "-c" in rest:
                at = rest.index("-c") + 1
                rest[at] = _PRELUDE + rest[at]
            return ["/bin/sh", *rest]
        here = self.programs / program
        return [str(here) if here.exists() else (shutil.which(program) or words[0]), *rest]

    def _of_image(self, word: str) -> str:
        """Return where a program is that its image has at the root, as `/pd-server`; empty for others."""
        here = self.programs / word[1:]
        return str(here) if re.fullmatch(r"/[\w-]+", word) and here.is_file() else ""

    def _program(self, found: re.Match[str]) -> str:
        here = self.programs / found[1]
        return str(here) if here.exists() else found[0]

    def has(self, program: str) -> bool:
        name = Path(program).name
        return name in _SHELLS or (self.programs / name).exists() or shutil.which(name) is not None
