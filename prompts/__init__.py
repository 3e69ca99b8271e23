"""Every word that is sent to the model, as Markdown."""

import re
from functools import cache
from importlib.resources import files

_SECTION = re.compile(r"^## (\S+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@cache
def read(name: str) -> str:
    """Return the text of `name`.md; FileNotFoundError when there is none."""
    return files("prompts").joinpath(f"{name}.md").read_text(encoding="utf-8").strip()


def remark(name: str, **values: object) -> str:
    """Return section `name` of `remarks.md`, with `values` put in; KeyError when there is none."""
    text = _remarks()[name]
    return text.format(**values) if values else text


@cache
def _remarks() -> dict[str, str]:
    return {name: text.strip() for name, text in _SECTION.findall(read("remarks"))}
