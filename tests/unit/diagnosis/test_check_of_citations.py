"""The check that no diagnosis escapes: code refuses what the evidence does not hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.diagnosis.check import MIN_QUOTE_CHARS, check, occurs, settle
from tools.diagnosis.schema import Alternative, Cited, Confidence, Diagnosis, Findings, Kind
from tools.observe.ledger import Ledger

NODES = ("etcd-1", "etcd-2", "etcd-3")
OPENED = 1_000.0


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    made.add(
        "signal:process", "etcd-2 exit: process 41 has ended, exit code 137", node="etcd-2", wall=1_000.0
    )
    made.add(
        "signal:peers", "etcd-2 peer_lost: etcd-1, etcd-3 hold no connection", node="etcd-2", wall=1_000.2
    )
    made.add("signal:process", "etcd-1 start: process 40 started long ago", node="etcd-1", wall=990.0)
    made.add(
        "cluster_status", '{"nodes":[{"name":"etcd-2","process":"exited","exit_code":137}]}', wall=1_001.0
    )
    made.add("timeline", "etcd-2 exit: process 41 has ended, exit code 137", wall=1_002.0)
    return made


def findings(*cited: tuple[str, str], confidence: Confidence = Confidence.MEDIUM, **more: object) -> Findings:
    return Findings.model_validate(
        {
            "observation": "etcd-2 is gone.",
            "root_cause": "Its process was killed.",
            "kind": Kind.CRASH,
            "nodes": ("etcd-2",),
            "confidence": confidence,
            "evidence": tuple(Cited(id=i, quote=q, claim="it ended") for i, q in cited),
            "alternatives": (
                Alternative(cause="pause", ruled_out_by="it ended"),
                Alternative(cause="partition", ruled_out_by="it ended"),
            ),
            "would_change": "A process that runs.",
            **more,
        }
    )


def problems(ledger: Ledger, *cited: tuple[str, str], **more: object) -> str:
    found = findings(*cited, **more)  # type: ignore[arg-type]
    return " ".join(check(found, ledger, nodes=NODES, opened_wall=OPENED))


class TestWhatHolds:
    def test_verbatim_quotation_of_evidence_since_the_incident_passes(self, ledger: Ledger) -> None:
        assert problems(ledger, ("E1", "process 41 has ended, exit code 137")) == ""

    def test_white_space_may_differ(self, ledger: Ledger) -> None:
        assert problems(ledger, ("E1", "process 41\n  has ended,\texit code 137")) == ""

    def test_quotation_marks_may_be_out_of_jsons_escapes(self) -> None:
        assert occurs('"msg":"lost leader"', '{"text":"{\\"msg\\":\\"lost leader\\"}"}')

    def test_two_independent_sources_allow_high_confidence(self, ledger: Ledger) -> None:
        cited = (("E1", "process 41 has ended"), ("E2", "hold no connection"))

        assert problems(ledger, *cited, confidence=Confidence.HIGH) == ""


class TestWhatIsRefused:
    def test_evidence_that_does_not_exist(self, ledger: Ledger) -> None:
        assert "no evidence 'E99'" in problems(ledger, ("E99", "process 41 has ended"))

    def test_words_that_nobody_wrote(self, ledger: Ledger) -> None:
        assert "does not occur in E1" in problems(ledger, ("E1", "panic: runtime error"))

    def test_words_of_other_evidence(self, ledger: Ledger) -> None:
        assert "does not occur in E2" in problems(ledger, ("E2", "process 41 has ended"))

    @pytest.mark.parametrize("quote", ["", "e", "   ", "etcd-2", "exit\n\n\n "])
    def test_quotations_too_short_to_prove_anything(self, ledger: Ledger, quote: str) -> None:
        assert "too short" in problems(ledger, ("E1", quote))

    def test_readings_older_than_the_incident(self, ledger: Ledger) -> None:
        assert "older than the incident" in problems(ledger, ("E3", "process 40 started long ago"))

    def test_a_node_that_is_not_in_the_cluster(self, ledger: Ledger) -> None:
        said = problems(ledger, ("E1", "process 41 has ended"), nodes=("etcd-4",))

        assert "'etcd-4' is not a node" in said
        assert "etcd-1, etcd-2, etcd-3" in said

    def test_a_crash_of_nobody(self, ledger: Ledger) -> None:
        assert "name it in nodes" in problems(ledger, ("E1", "process 41 has ended"), nodes=())

    def test_nothing_wrong_with_somebody(self, ledger: Ledger) -> None:
        assert "yet nodes are named" in problems(ledger, ("E1", "process 41 has ended"), kind=Kind.NONE)

    def test_no_evidence_at_all(self, ledger: Ledger) -> None:
        assert "Nothing is cited" in problems(ledger)

    @pytest.mark.parametrize(
        "second",
        [
            pytest.param(("E1", "exit code 137"), id="the same evidence twice"),
            pytest.param(("E4", '"process":"exited"'), id="the kernel's word, told by a tool as well"),
            pytest.param(("E5", "process 41 has ended"), id="the same signal, repeated in the timeline"),
            pytest.param(("E2", "nobody wrote this"), id="another source, but a quotation that is not there"),
        ],
    )
    def test_certainty_by_one_witness_alone(self, ledger: Ledger, second: tuple[str, str]) -> None:
        said = problems(ledger, ("E1", "process 41 has ended"), second, confidence=Confidence.HIGH)

        assert "two independent sources" in said

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ("signal:self", "etcd-2 restarted: started at 12:00:00"),
            ("view:self", "etcd-1 healthy: healthy\netcd-2 restarted: started at 12:00:00"),
            ("cluster_status", '"health_port": "answers", started at 12:00:00'),
            ("read_metrics", "started at 12:00:00"),
        ],
    )
    def test_a_node_and_its_log_are_one_witness(self, ledger: Ledger, source: str, text: str) -> None:
        node = "etcd-2" if source in {"signal:self", "read_metrics"} else None
        said = ledger.add(source, text, node=node, wall=1_003.0).id
        logged = ledger.add("read_logs", "no shutdown request in the log", node="etcd-2", wall=1_003.0).id
        cited = ((said, text.splitlines()[-1]), (logged, "no shutdown request"))

        assert "two independent sources" in problems(ledger, *cited, confidence=Confidence.HIGH)


class TestWhatBecomesOfIt:
    def settled(self, ledger: Ledger, found: Findings) -> Diagnosis:
        wrong = check(found, ledger, nodes=NODES, opened_wall=OPENED)
        return settle(found, "claude", wrong, ledger=ledger, opened_wall=OPENED)

    def test_what_holds_is_verified_and_keeps_its_confidence(self, ledger: Ledger) -> None:
        made = self.settled(ledger, findings(("E1", "process 41 has ended")))

        assert (made.verified, made.confidence, made.problems) == (True, Confidence.MEDIUM, ())

    def test_what_does_not_hold_is_lowered_told_and_its_citation_left_out(self, ledger: Ledger) -> None:
        made = self.settled(
            ledger,
            findings(
                ("E1", "process 41 has ended"),
                ("E2", "hold no connection"),
                ("E2", "an invented line"),
                confidence=Confidence.HIGH,
            ),
        )

        assert (made.verified, made.confidence) == (False, Confidence.MEDIUM)
        assert [c.quote for c in made.evidence] == ["process 41 has ended", "hold no connection"]
        assert "an invented line" in made.problems[0]

    def test_with_nothing_left_to_rest_on_confidence_is_low(self, ledger: Ledger) -> None:
        made = self.settled(ledger, findings(("E1", "an invented line"), confidence=Confidence.HIGH))

        assert made.confidence is Confidence.LOW

    def test_the_contracts_form_names_the_node(self, ledger: Ledger) -> None:
        made = self.settled(ledger, findings(("E1", "process 41 has ended")))

        assert made.as_result()["node"] == "etcd-2"

    def test_fewer_than_two_alternatives_are_refused(self) -> None:
        with pytest.raises(ValueError, match="at least 2 items"):
            findings(alternatives=(Alternative(cause="pause", ruled_out_by="it ended"),))


@given(
    text=st.text(min_size=40, max_size=200), start=st.integers(0, 30), extra=st.text(min_size=1, max_size=5)
)
def test_only_what_stands_in_the_evidence_ever_passes(text: str, start: int, extra: str) -> None:
    ledger = Ledger()
    item = ledger.add("signal:process", text, wall=OPENED)
    quote = item.text[start : start + 20] + extra
    said = check(findings((item.id, quote)), ledger, nodes=NODES, opened_wall=OPENED)
    held = occurs(quote, item.text) and len(" ".join(quote.split())) >= MIN_QUOTE_CHARS

    assert held or said
