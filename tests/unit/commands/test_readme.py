"""The README: one screen, and what it shows of a run is what that run's recording draws."""

import re
from pathlib import Path

from agent.transcript.replay import replay
from agent.view.terminal import TerminalView
from tests.standins.screen import Screen

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_LINES = 25
"""A cast that is longer is not read."""


async def test_each_line_of_the_readmes_cast_is_drawn_by_the_recording_beside_it() -> None:
    cast = re.findall(r"^    (.*)$", README.split("the kill on:")[1].split("`operator replay")[0], re.M)
    screen = Screen()
    view = TerminalView(screen, size=screen.size)
    await replay(ROOT / "docs" / "demo.jsonl", view.show, 0)
    await view.aclose()

    assert 10 < len(cast) <= MOST_LINES
    assert [line for line in cast if line.strip() and line not in screen.text] == []


def test_the_recording_names_no_folder_of_the_machine_that_made_it() -> None:
    recorded = (ROOT / "docs" / "demo.jsonl").read_text(encoding="utf-8")

    assert not re.search(r"\"[^\"]*/(home|root|tmp|Users|var)/", recorded)
