"""Markdown as it looks in our terminal: quiet, readable on light and dark, nothing hidden.

Rich draws it; here is what we want otherwise: HTML is shown, not swallowed (a node may be called
`<unknown>`), links show where they lead, code keeps the terminal's own background.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import (
    CodeBlock,
    Heading,
    HorizontalRule,
    ImageItem,
    ListItem,
    Markdown,
    MarkdownElement,
    TableElement,
)
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from subjects.untrusted import clean

MAX_NESTING = 20
"""Of lists and quotes in each other: no answer needs more, and each level costs a recursion."""

PARSER = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    .enable(["strikethrough", "table"])
    # `[label]: address` may come long after `[label]`, which is on the screen by then: both stay as written.
    .disable("reference")
)


class Code(CodeBlock):
    """A code block, indented and without colours of its own: what is copied from it is the code."""

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> "Code":  # noqa: ARG003 - Rich's signature
        """Make the element for a token."""
        return cls("text", "")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = Text(str(self.text).removesuffix("\n"), style="code.block", overflow="fold")
        yield Padding(code, (0, 0, 0, min(4, options.max_width // 10)))


class PlainHeading(Heading):
    """A heading at the left, like all else."""

    LEVEL_ALIGN: ClassVar[dict[str, Any]] = {f"h{n}": "left" for n in range(1, 7)}


class ImageWords(ImageItem):
    """An image's words and address: a terminal has no pictures."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text.assemble("[image] ", self.text or "", f" ({self.destination}) ", end="")


class PlainRule(HorizontalRule):
    """A rule across, with the same blank line after it as any block."""

    new_line = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("─" * options.max_width, "markdown.hr")


class Item(ListItem):
    """An item of a list; its number with a full stop, in a column that does not depend on later items."""

    def render_number(
        self,
        console: Console,
        options: ConsoleOptions,
        number: int,
        last_number: int,  # noqa: ARG002 - Rich's
    ) -> RenderResult:
        """Draw the item with its number."""
        label = f"{number}.".rjust(3) + " "
        inner = options.update(width=max(1, options.max_width - len(label)))
        style = console.get_style("markdown.item.number", default="none")
        for n, line in enumerate(console.render_lines(self.elements, inner, style=self.style)):
            yield Segment(label if n == 0 else " " * len(label), style)
            yield from line
            yield Segment.line()


class PlainTable(TableElement):
    """A table with a line below its head and none around it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, border_style="markdown.table.border")
        if self.header is not None and self.header.row is not None:
            for cell in self.header.row.cells:
                heading = cell.content.copy()
                heading.stylize("markdown.table.header")
                table.add_column(heading, justify=cell.justify, overflow="fold")
        for row in self.body.rows if self.body is not None else ():
            table.add_row(*(cell.content for cell in row.cells))
        yield table


class Prose(Markdown):
    """Tokens of `PARSER`, drawn by Rich."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": Code,
        "code_block": Code,
        "heading_open": PlainHeading,
        "image": ImageWords,
        "hr": PlainRule,
        "list_item_open": Item,
        "table_open": PlainTable,
    }

    def __init__(self, tokens: Sequence[Token], style: str = "none") -> None:
        # Not the parent's: it would parse once more, by rules that are not ours.
        self.parsed = list(tokens)
        self.markup = ""
        self.code_theme = self.inline_code_theme = "default"
        self.inline_code_lexer = None
        self.justify = None
        self.style = style
        self.hyperlinks = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        begun = False
        for part in super().__rich_console__(console, options):
            # Rich begins a text whose first block holds others with a blank line; where one goes we decide.
            begun = begun or part != Segment.line()
            if begun:
                yield part

    def _flatten_tokens(self, tokens: Iterable[Token]) -> Iterable[Token]:
        # An entity such as `&#x202e;` becomes the character it names only in the parser.
        for token in super()._flatten_tokens(tokens):
            token.content = clean(token.content)
            yield token


def parse(text: str) -> list[Token]:
    """Return the tokens of `text`."""
    return PARSER.parse(text)
