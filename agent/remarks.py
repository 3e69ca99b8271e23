"""The host's own words to the model, from `prompts/remarks.md`: one section each."""

import re
from functools import cache

from prompts import read

_SECTION = re.compile(r"^## (\S+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@cache
def _sections() -> dict[str, str]:
    return {name: text.strip() for name, text in _SECTION.findall(read("remarks"))}


def remark(name: str, **values: object) -> str:
    """Return the section `name` with `values` put in; KeyError when there is none."""
    text = _sections()[name]
    return text.format(**values) if values else text
