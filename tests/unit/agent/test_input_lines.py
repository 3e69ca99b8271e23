"""Input is read line by line, and an end of the program never waits for it."""

import asyncio
import os
import subprocess
import sys

import pytest

from agent.mcp.input_lines import InputLines
from subjects.lines import Lines


async def lines_of(*chunks: bytes) -> list[str]:
    reading, writing = os.pipe()

    def write() -> None:
        for chunk in chunks:
            os.write(writing, chunk)
        os.close(writing)

    try:
        await asyncio.to_thread(write)
        return [line async for line in InputLines(reading)]
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ((), []),
        ((b"one\ntwo\n",), ["one", "two"]),
        ((b"o", b"ne\nt", b"wo"), ["one", "two"]),
        (("hällo".encode()[:2], "hällo\n".encode()[2:]), ["hällo"]),
        ((b"\xff\n",), ["\ufffd"]),
    ],
)
async def test_lines_come_whole_however_the_bytes_were_cut(
    chunks: tuple[bytes, ...], lines: list[str]
) -> None:
    assert await lines_of(*chunks) == lines


async def test_a_long_line_comes_whole() -> None:
    assert await asyncio.wait_for(lines_of(b"x" * 60_000 + b"\n"), 60) == ["x" * 60_000]


def test_a_program_ends_though_its_input_is_silent() -> None:
    program = """
import asyncio
from agent.mcp.input_lines import InputLines
from subjects.lines import Lines

async def listen():
    async for line in InputLines():
        pass

async def main():
    task = asyncio.create_task(listen())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


async def test_a_line_of_thirty_megabytes_takes_work_in_proportion_to_its_length() -> None:
    """Each piece is joined once: a line in a thousand pieces is copied twice, not five hundred times."""
    lines = Lines()
    for _ in range(480):
        assert lines.feed(b"x" * 65_536) == []
    assert lines.pending == 480 * 65_536

    (whole,) = lines.feed(b"\n")
    assert len(whole) == 480 * 65_536
    assert len(lines._begun) == 1
