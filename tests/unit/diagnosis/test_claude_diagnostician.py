"""The model's diagnosis: one repair, then less confidence; and the rules where there is no answer."""

import re
from collections.abc import AsyncGenerator
from typing import Any, Literal

import pytest

from agent.budget import Budget, Limits
from agent.diagnostician import MAX_CALLS, ClaudeDiagnostician
from agent.errors import ModelUnavailable
from agent.models.base import ModelEvent, Reply, Request, Usage
from agent.models.catalog import facts_of
from tests.unit.diagnosis.conftest import Bench
from tools.diagnosis.base import Case
from tools.diagnosis.schema import Diagnosis
from tools.diagnosis.tools import open_case
from tools.events import Notice


class SubmittingModel:
    """Looks once, then submits these quotations one after the other, then speaks."""

    driver: Literal["claude"] = "claude"
    name: str | None = "claude-opus-5-5"
    compaction: Literal["model"] = "model"

    def __init__(self, *quotes: str, fails: bool = False) -> None:
        self.requests: list[Request] = []
        self._quotes = list(quotes)
        self._fails = fails

    async def respond(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        if self._fails:
            raise ModelUnavailable("overloaded")
        yield Reply(*self._next(request), Usage(input_tokens=1000, output_tokens=100))

    async def aclose(self) -> None:
        """Nothing is open."""

    def _next(self, request: Request) -> tuple[tuple[dict[str, Any], ...], str]:
        if len(self.requests) == 1:
            return (_call(1, "cluster_status", {}),), "tool_use"
        if not self._quotes:
            return ({"type": "text", "text": "Submitted."},), "end_turn"
        looked = re.search(r"\[(D\d+)\]", str(request.messages))
        assert looked is not None
        return (
            _call(len(self.requests), "submit_diagnosis", _findings(looked[1], self._quotes.pop(0))),
        ), "tool_use"


def _call(n: int, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": arguments}


def _findings(evidence: str, quote: str) -> dict[str, Any]:
    return {
        "observation": "o", "root_cause": "r", "kind": "none", "nodes": [], "confidence": "medium",
        "evidence": [{"id": evidence, "quote": quote, "claim": "c"}],
        "alternatives": [{"cause": "a", "ruled_out_by": "b"}, {"cause": "c", "ruled_out_by": "d"}],
        "would_change": "w",
    }  # fmt: skip


HELD = '"state":"healthy"'
INVENTED = "these words stand nowhere"


async def diagnosed(
    on: Bench, model: SubmittingModel, session: Budget | None = None
) -> tuple[Diagnosis, ClaudeDiagnostician]:
    who = ClaudeDiagnostician(model, on.told.append, session)
    case: Case = open_case(on.workbench)
    on.workbench.diagnostician = who
    return await on.workbench.diagnosed(case), who


async def test_what_holds_is_verified_and_what_it_cost_is_counted(on_etcd: Bench) -> None:
    found, who = await diagnosed(on_etcd, SubmittingModel(HELD))

    assert (found.by, found.verified, found.confidence) == ("claude", True, "medium")
    assert who.usage.input_tokens == 3000
    assert who.cost_usd is not None


async def test_the_session_that_asks_pays_and_its_context_does_not_grow(on_etcd: Bench) -> None:
    budget = Budget(facts_of("claude-opus-5-5"))
    budget.spend(Usage(input_tokens=500, output_tokens=10))
    _, who = await diagnosed(on_etcd, SubmittingModel(HELD), budget)

    assert budget.usage.input_tokens == 500 + who.usage.input_tokens
    assert budget.cost_usd == pytest.approx((500 * 4 + 10 * 20) / 1e6 + (who.cost_usd or 0))
    assert budget.context_tokens == 510


async def test_a_session_that_has_spent_its_money_has_the_rules_diagnose(on_etcd: Bench) -> None:
    budget = Budget(facts_of("claude-opus-5-5"), Limits(cost_usd=0.001))
    budget.spend(Usage(input_tokens=500))
    found, who = await diagnosed(on_etcd, model := SubmittingModel(HELD), budget)

    assert (found.by, model.requests, who.cost_usd) == ("rules", [], None)


async def test_a_citation_that_does_not_hold_may_be_repaired_once(on_etcd: Bench) -> None:
    model = SubmittingModel(INVENTED, HELD)
    found, _ = await diagnosed(on_etcd, model)

    assert found.verified
    assert "does not occur" in str(model.requests[2].messages[-1])


async def test_after_the_one_repair_confidence_is_lowered_and_it_is_said(on_etcd: Bench) -> None:
    found, _ = await diagnosed(on_etcd, SubmittingModel(INVENTED, INVENTED, HELD))

    assert (found.verified, found.confidence, found.evidence) == (False, "low", ())
    assert INVENTED in found.problems[0]


async def test_a_model_that_cannot_answer_is_replaced_by_the_rules_aloud(on_etcd: Bench) -> None:
    found, _ = await diagnosed(on_etcd, SubmittingModel(fails=True))

    assert (found.by, found.kind, found.verified) == ("rules", "none", True)
    assert any(isinstance(event, Notice) and "rules" in event.text for event in on_etcd.told)


async def test_a_model_that_never_submits_is_reminded_and_then_replaced(on_etcd: Bench) -> None:
    model = SubmittingModel()
    found, _ = await diagnosed(on_etcd, model)

    assert found.by == "rules"
    assert "submit_diagnosis" in str(model.requests[-1].messages[-1])
    assert len(model.requests) < MAX_CALLS
