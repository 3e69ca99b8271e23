"""The tool of docs/adding-a-tool.md, as pasted: it is found by its decorator, and runs."""

import re
import sys
import textwrap
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, cast

from tests.standins.scripted_cluster import scripted_cluster
from tools.diagnosis.examination import Examination
from tools.observe.ledger import Ledger
from tools.observe.observed import Observed
from tools.registry import Dispatcher
from tools.tool import Tool
from tools.workbench import Workbench

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-tool.md"


def pasted(folder: Path) -> Tool:
    """Return the page's tool, from a module of its own with its description beside it."""
    block = re.search(
        r"(?:^(?:    .*)?\n)+", PAGE.read_text(encoding="utf-8").split("\n\n", 2)[2], re.MULTILINE
    )
    assert block is not None
    file = folder / "tools.py"
    file.write_text(textwrap.dedent(block[0]), encoding="utf-8")
    (folder / "data_size.md").write_text("How large a node's data is.", encoding="utf-8")
    spec = spec_from_file_location("pasted_tools", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return cast(Tool, module.data_size.tool)


async def test_it_runs_and_a_diagnostician_would_have_it(tmp_path: Path) -> None:
    tool = pasted(tmp_path)
    cluster, subject, _ = await scripted_cluster()
    subject.change("n2", db_bytes=4096)
    observed = Observed(
        emit=lambda _event: None, ledger=Ledger(), incidents=cast(Any, None), cluster=cluster.observed
    )
    try:
        outcome = await Dispatcher(observed, {tool.name: tool}).run("call", "data_size", {"node": "n2"})
    finally:
        await cluster.aclose()

    assert outcome.ok, outcome.text
    assert outcome.data["db_bytes"] == 4096
    assert tool.description == "How large a node's data is."
    assert issubclass(Examination, tool.needs)
    assert issubclass(Workbench, tool.needs)
