"""A context that does not look like one for trying out is used only if a person allows it."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.setup import allowed_contexts
from subjects.errors import BadSetup, NeedsConsent
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.state import open_state
from tests.standins.kubernetes_standin.handle import StandinCluster
from tools.cluster import lifecycle
from tools.diagnosis.rules import RulesDiagnostician
from tools.faults.service import FaultService
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.workbench import Choice, Workbench

CONTEXT = "production"


@dataclass
class Asked:
    """A session on a cluster that may be somebody's production, and what the person was asked."""

    standin: StandinCluster
    folder: Path
    questions: list[str] = field(default_factory=list)

    def answers(self, answer: bool) -> Callable[[str], Awaitable[bool]]:
        async def consent(question: str) -> bool:
            self.questions.append(question)
            return answer

        return consent

    async def open(self, consent: Callable[[str], Awaitable[bool]] | None, *allowed: str) -> str:
        """Open the cluster that would be started, twice; return where it would be."""
        state = open_state(self.folder)
        workbench = Workbench(
            state=state,
            emit=lambda _: None,
            ledger=Ledger(),
            incidents=IncidentStore(state.database),
            faults=FaultService(state, 7),
            diagnostician=RulesDiagnostician(),
            choice=Choice("etcd", "kubernetes", kubernetes=KubernetesOptions(allowed=allowed)),
            consent=consent,
        )
        try:
            for _ in range(2):
                async with lifecycle.open_or_planned(workbench) as cluster:
                    place = str(getattr(cluster.control, "place", ""))
            return place
        finally:
            workbench.faults.close()
            workbench.incidents.close()

    @property
    def made(self) -> list[list[str]]:
        return [asked for asked in self.standin.act("requests") if asked[0] != "GET"]


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinCluster]:
    with StandinCluster(tmp_path_factory.mktemp("kubernetes")) as made:
        yield made


@pytest.fixture
def asked(standin: StandinCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    config = standin.write_kubeconfig(tmp_path / "kubeconfig", standin.token, CONTEXT)
    monkeypatch.setenv("KUBECONFIG", str(config))
    standin.act("requests")
    return Asked(standin, tmp_path / "state")


async def test_a_yes_allows_it_and_is_asked_for_once(asked: Asked) -> None:
    place = await asked.open(asked.answers(True))

    assert CONTEXT in place
    [question] = asked.questions
    assert CONTEXT in question
    assert asked.standin.server in question


async def test_a_no_makes_nothing(asked: Asked) -> None:
    with pytest.raises(NeedsConsent):
        await asked.open(asked.answers(False))

    assert asked.made == []


async def test_without_a_person_it_is_refused_in_one_line_that_says_how_to_allow_it(asked: Asked) -> None:
    with pytest.raises(NeedsConsent) as refused:
        await asked.open(None)

    assert f"--allow-context {CONTEXT}" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert asked.made == []


async def test_what_is_allowed_beforehand_is_not_asked_for(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[kubernetes]\nallow_contexts = ["{CONTEXT}"]\n')
    monkeypatch.setenv("OPERATOR_CONFIG", str(config))

    await asked.open(asked.answers(False), *allowed_contexts(Choice()))

    assert asked.questions == []


def test_a_config_that_says_it_otherwise_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[kubernetes]\nallow_contexts = "production"\n')
    monkeypatch.setenv("OPERATOR_CONFIG", str(config))

    with pytest.raises(BadSetup, match="allow_contexts"):
        allowed_contexts(Choice())
