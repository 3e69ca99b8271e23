"""The generator is never held up by an owner that does not read, and notices one that is gone."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.load.pipes import MAX_UNREAD, Pipes


@dataclass
class Owner:
    """The other ends of the generator's standard input and output."""

    commands: int
    windows: int


@asynccontextmanager
async def pipes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Pipes, Owner]]:
    input_end, commands = os.pipe()
    windows, output_end = os.pipe()
    owner = Owner(commands, windows)
    with os.fdopen(input_end, "rb", 0) as stdin, os.fdopen(output_end, "wb", 0) as stdout:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("sys.stdout", stdout)
        opened = await Pipes.open(folder / "windows.jsonl")
        try:
            yield opened, owner
        finally:
            opened.close()
            for end in (owner.commands, owner.windows):
                if end >= 0:
                    os.close(end)
            await opened.gone.wait()


async def test_an_owner_that_does_not_read_loses_lines_and_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = b"x" * 99_999 + b"\n"
    async with pipes(tmp_path, monkeypatch) as (generator, _), asyncio.timeout(60):
        for _ in range(50):
            generator.keep(line)
        await generator.flush(timeout_s=0.05)

        assert generator._out.get_write_buffer_size() <= MAX_UNREAD + len(line)
        assert (tmp_path / "windows.jsonl").stat().st_size == 50 * len(line)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
async def test_a_full_disk_keeps_no_window_from_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "windows.jsonl").symlink_to("/dev/full")
    async with pipes(tmp_path, monkeypatch) as (generator, owner):
        generator.keep(b"a window\n")
        await generator.flush(timeout_s=60)

        assert os.read(owner.windows, 100) == b"a window\n"


async def test_what_was_said_comes_out_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pipes(tmp_path, monkeypatch) as (generator, owner):
        for n in range(3):
            generator.say(f"{n}\n".encode())
        await generator.flush(timeout_s=60)

        assert os.read(owner.windows, 100) == b"0\n1\n2\n"


async def test_a_closed_input_is_an_owner_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pipes(tmp_path, monkeypatch) as (generator, owner), asyncio.timeout(60):
        assert not generator.gone.is_set()
        os.close(owner.commands)
        owner.commands = -1
        await generator.gone.wait()


async def test_an_output_that_nobody_can_read_is_an_owner_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pipes(tmp_path, monkeypatch) as (generator, owner), asyncio.timeout(60):
        os.close(owner.windows)
        owner.windows = -1
        generator.say(b"anybody?\n")
        await generator.gone.wait()
