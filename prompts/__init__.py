"""Every word that is sent to the model, as Markdown."""

from functools import cache
from importlib.resources import files


@cache
def read(name: str) -> str:
    """Return the text of `name`.md; FileNotFoundError when there is none."""
    return files("prompts").joinpath(f"{name}.md").read_text(encoding="utf-8").strip()
