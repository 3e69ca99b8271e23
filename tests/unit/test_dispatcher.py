"""The dispatcher finds a cluster that somebody started meanwhile, for a preview as for the call itself."""

from pathlib import Path
from typing import Any, cast

from tests.standins.scripted_cluster import scripted_cluster
from tools.observe.ledger import Ledger
from tools.observe.observed import Observed
from tools.registry import Dispatcher
from tools.tool import Effect, Params, Result, Tool


async def test_a_preview_is_of_the_cluster_that_the_call_would_find() -> None:
    async def run(_params: Params, _observed: Observed) -> Result:
        return Result({})

    async def preview(_params: Params, observed: Observed) -> str:
        return ", ".join(observed.require_cluster().subject.nodes)

    async def find() -> None:
        observed.cluster = cluster.observed

    cluster, _, _ = await scripted_cluster(("n1", "n2"))
    observed = Observed(emit=lambda _event: None, ledger=Ledger(), incidents=cast(Any, None))
    tool = Tool("act", Params, Effect.ACT, run, Path(), preview=preview)
    try:
        assert await Dispatcher(observed, {"act": tool}, find).preview("act", {}) == "n1, n2"
    finally:
        await cluster.aclose()
