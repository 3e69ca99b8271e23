"""The stream of Markdown looks as if it had been drawn at once, in constant memory."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.events import Text
from agent.view.canvas import Canvas
from agent.view.markdown import LARGE, MarkdownStream
from agent.view.prose import Prose, parse
from agent.view.terminal import TerminalView
from tests.standins.screen import Screen

BLOCKS = [
    "A paragraph of **bold**, *emphasis*, `code` and ~~struck~~ words that is long enough to wrap somewhere.",
    "Two lines\nof one paragraph",
    "# Heading one",
    "### Heading *three*",
    "Setext\n======",
    "- one\n- two\n- three with `code`",
    "- a\n\n  second paragraph of a\n\n- b\n  - nested\n    - deeper",
    "1. first\n2. second\n3. third",
    "7) seven\n8) eight",
    "```python\ndef f():\n\n    return '# no heading'\n```",
    "~~~\n| no | table |\n~~~",
    "    indented code\n\n    more of it",
    "> a quote\n> goes on\nlazily",
    "> - a list\n> - in a quote",
    "| a | b |\n|---|--:|\n| 1 | `x` |\n| 日本 | 22 |",
    "text right above\n| a | b |\n|---|---|\n| 1 | 2 |",
    "---",
    "[link](http://example.org/a?b=c) and ![picture](p.png) and <http://auto.link>",
    "An <unknown> node & a &lt;tag&gt; and <pasted_content>",
    "日本語の段落と絵文字 🚀 と、とても長い行が折り返されるところまで続く文章。",
    "[early]: http://early.example 'title'",
    "see [early] there",
    "***\nafter a rule",
    "* * *",
    "unclosed **bold and `code",
    "a\\\nhard break  \nand another",
]


def at_once(text: str, width: int) -> list[str]:
    canvas = Canvas(Screen(width), coloured=False, size=lambda: (width, 24))
    return [line.text for line in canvas.lines(Prose(parse(text)))]


def streamed(text: str, width: int, cuts: list[int]) -> list[str]:
    """Stream `text` in pieces of the sizes of `cuts`, drawing a frame after each piece."""
    screen, clock = Screen(width, 24), iter(range(10**9))
    view = TerminalView(screen, size=screen.size, clock=lambda: float(next(clock)))
    at, n = 0, 0
    while at < len(text):
        size = cuts[n % len(cuts)]
        view.show(Text(text[at : at + size]))
        at, n = at + size, n + 1
    view.show(Text("", done=True))
    return screen.text


def stripped(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


documents = st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=5).map("\n\n".join)


@settings(max_examples=25)
@example("see [early] there\n\n[early]: http://early.example 'title'", [3], 40)
@given(documents, st.lists(st.integers(3, 60), min_size=1, max_size=6), st.sampled_from([40, 79, 200]))
def test_a_stream_leaves_what_drawing_at_once_would(text: str, cuts: list[int], width: int) -> None:
    expected = stripped([line.rstrip() for line in at_once(text, width)])

    assert streamed(text, width, cuts) == expected


@settings(max_examples=60)
@given(
    st.text(alphabet="ab `*_#>-+|[](){}<>!&;:\\\n\t1.~=日\u0301🚀", max_size=400), st.sampled_from([20, 40])
)
def test_no_text_whatever_raises(text: str, width: int) -> None:
    streamed(text, width, [7])


@pytest.mark.parametrize("depth", [5, 60])
def test_deep_nesting_is_bounded(depth: int) -> None:
    text = "".join(f"{'  ' * n}- level {n}\n" for n in range(depth)) + "\n" + "> " * depth + "quoted"

    assert streamed(text, 40, [64])


def test_nothing_that_was_written_is_hidden() -> None:
    text = "The node <unknown> and <b>bold</b>.\n\n<div>\n\nafter\n"

    seen = "\n".join(streamed(text, 80, [5]))

    assert "<unknown>" in seen
    assert "<b>bold</b>" in seen
    assert "<div>" in seen


def test_a_definition_of_a_link_is_shown_wherever_it_stands() -> None:
    seen = streamed("see [a] there\n\n[a]: http://a.example\n", 80, [5])

    assert seen == ["see [a] there", "", "[a]: http://a.example"]


def test_a_link_shows_where_it_leads_and_is_no_escape_sequence() -> None:
    screen = Screen()
    TerminalView(screen, size=screen.size).show(Text("[docs](http://evil.example)\n", done=True))

    assert "docs (http://evil.example)" in "\n".join(screen.text)
    assert "\x1b]8" not in screen.written


def test_an_entity_cannot_smuggle_what_is_cleaned_away() -> None:
    lines = at_once("a&#x202e;b &#27;[2J &#x9b;2J &#8203;c `&#x202e;`", 80)

    assert not {"\u202e", "\x1b", "\x9b", "\u200b"} & set("".join(lines))


class TestLargeBlocks:
    """A block that does not end is finished in pieces, so that memory and time stay bounded."""

    @pytest.mark.parametrize(
        ("text", "count", "expected"),
        [
            ("```\n" + "code line\n\n" * 700 + "```\nafter\n", "code line", 700),
            ("| a | b |\n|---|---|\n" + "| cell | y |\n" * 700 + "\nafter\n", "cell", 700),
            ("- item\n" * 1_200 + "\nafter\n", "item", 1_200),
            ("1. item\n" * 1_200 + "\nafter\n", "item", 1_200),
            ("> quoted\n" * 1_200 + "\nafter\n", "quoted", 1_200),
            ("word " * 3_000 + "\n\nafter\n", "word", 3_000),
            ("word\n" * 3_000 + "\nafter\n", "word", 3_000),
        ],
        ids=["fence", "table", "bullets", "numbers", "quote", "one line", "lines"],
    )
    def test_every_part_is_drawn_once(self, text: str, count: str, expected: int) -> None:
        lines = streamed(text, 80, [1_500])

        assert "\n".join(lines).count(count) == expected
        assert lines[-1] == "after"
        assert lines[-2] == ""

    def test_code_stays_code_across_pieces(self) -> None:
        lines = streamed("```\n" + "# no heading\n" * 700 + "```\n", 80, [500])

        assert set(lines) == {"    # no heading"}
        assert len(lines) == 700

    def test_a_word_of_many_kilobytes_is_drawn_whole(self) -> None:
        seen = "".join(streamed("x" * 50_000, 80, [999]))

        assert seen == "x" * 50_000


def test_a_long_text_streams_in_constant_memory() -> None:
    screen = Screen(80, 24)
    screen.write = lambda text: len(text)  # type: ignore[method-assign] # only the view is measured
    view = TerminalView(screen, size=screen.size, clock=lambda: 0.0)
    text = "\n\n".join(BLOCKS) + "\n\n" + "a long line without an end " * 400
    chunks = [text[at : at + 256] for at in range(0, len(text), 256)]
    view.show(Text(chunks[0]))

    tracemalloc.start()
    sent = 0
    while sent < 200_000:
        for chunk in chunks:
            view.show(Text(chunk))
            sent += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2_000_000


def test_what_is_pending_stays_small() -> None:
    stream = MarkdownStream()
    for _ in range(1_000):
        stream.feed("no line ever ends here " * 10)
        if stream.large:
            list(stream.settled())
        assert len(stream._pending) + sum(map(len, stream._parts)) < 2 * LARGE


def test_the_design_document_streams_as_at_once() -> None:
    text = (Path(__file__).parents[3] / "agent" / "view" / "markdown.py").read_text()
    text = f"# A file\n\n```python\n{text[:2000]}\n```\n\nIts end.\n"

    assert streamed(text, 100, [40, 11]) == stripped([line.rstrip() for line in at_once(text, 100)])
