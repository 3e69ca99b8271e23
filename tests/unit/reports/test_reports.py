"""Reports: the same figures in every form, nothing invented, nothing that somebody wrote taken for markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from tests.standins.incident import HOSTILE, OPENED, full_incident
from tools.incidents.record import Incident
from tools.incidents.report import render, report
from tools.incidents.report_chart import MAX_POINTS, grouped, outages, thinned
from tools.incidents.report_html import table
from tools.incidents.report_words import IMPACT, LOAD_COLUMNS, MARKS, figure, in_order, seconds
from tools.incidents.store import IncidentStore


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    return full_incident(tmp_path / "operator.db")


@pytest.fixture
def bare(tmp_path: Path) -> Incident:
    """One that nobody diagnosed, without load, not over."""
    store = IncidentStore(tmp_path / "bare.db")
    name = store.open(cluster="etcd × process", text="etcd-1 does not answer", nodes=("etcd-1",), wall=OPENED)
    found = store.get(name)
    store.close()
    return found


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def attributes(self, name: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(name)) is not None]


class TestFigures:
    def test_what_clients_felt_is_counted_from_first_signal_to_recovery(self, incident: Incident) -> None:
        impact = report(incident)["impact"]

        assert impact["seconds_open"] == 6.5
        assert (impact["seconds_with_errors"], impact["failed_operations"]) == (3, 18)
        assert (impact["fewest_ops_in_a_second"], impact["worst_p99_ms"]) == (210, 950.0)

    def test_a_last_window_cut_short_is_no_second_to_compare(self, incident: Incident) -> None:
        windows = [*incident.figures["windows"][:12]]
        windows.append({**windows[-1], "wall": windows[-1]["wall"] + 0.4, "operations": 80})
        incident.figures["windows"][:] = windows

        made = report(incident)
        assert made["impact"]["fewest_ops_in_a_second"] == 210
        assert made["windows"][-1]["ops_per_s"] == pytest.approx(200.0)

    def test_marks_count_from_the_first_signal(self, incident: Incident) -> None:
        marks = report(incident)["marks"]

        assert marks == {
            "injected": -0.02,
            "first_signal": 0.0,
            "detected": 0.01,
            "healed": 5.0,
            "recovered": 6.5,
        }

    def test_what_was_not_measured_is_null_and_left_out(self, bare: Incident) -> None:
        made = report(bare)

        assert set(made["impact"].values()) == {None, 0}
        assert made["impact"]["came_back"] == 0
        assert made["marks"]["injected"] is None
        assert figure(None) not in render(bare, "md")
        assert re.findall("^## (.*)", render(bare, "md"), re.MULTILINE) == [
            "Summary",
            "When",
            "What to do next",
        ]

    def test_the_heading_and_the_severity_say_what_clients_felt(self, incident: Incident) -> None:
        heading = "etcd-2 is dead: its process ended · 3 s with errors, 18 failed operations"

        assert render(incident, "md").replace("\\", "").startswith(f"# {heading}")
        assert heading in Page(render(incident, "html")).text
        assert report(incident)["severity"] == "major: for a time no operation succeeded"
        incident.figures["load"]["longest_stall_s"] = 0
        assert report(incident)["severity"] == "major: operations failed"

    def test_nothing_is_claimed_of_an_incident_that_is_not_over(self, bare: Incident) -> None:
        made = report(bare)

        assert "It is not over." in made["summary"]
        assert "not diagnosed" in made["summary"]
        assert any("no recovery was observed" in step for step in made["next"])


class TestAllFormsAgree:
    def test_json_reads_back_as_the_report(self, incident: Incident) -> None:
        assert json.loads(render(incident, "json")) == json.loads(json.dumps(report(incident)))

    def test_every_figure_of_the_json_stands_in_the_page_and_in_the_markdown(
        self, incident: Incident
    ) -> None:
        made, page = report(incident), Page(render(incident, "html"))
        plain = render(incident, "md").replace("\\", "")

        wanted = [figure(made["impact"][name], unit) for name, _, unit in IMPACT if made["impact"][name]]
        wanted += [seconds(at) for name, _ in MARKS if (at := made["marks"][name]) is not None]
        wanted += [figure(row[name]) for row in made["load"].values() for name, _ in LOAD_COLUMNS]
        wanted += [seconds(row["seconds"]) for row in made["who_knew_when"]]
        for text in wanted:
            assert text in page.text
            assert text in plain

    def test_each_claim_leads_to_its_raw_evidence(self, incident: Incident) -> None:
        page = Page(render(incident, "html"))
        ids, links = set(page.attributes("id")), page.attributes("href")

        assert {"#evidence-E4", "#evidence-E9"} <= set(links)
        assert all(link[1:] in ids for link in links if link.startswith("#"))

    def test_each_id_in_the_page_leads_somewhere_also_where_its_text_was_not_kept(
        self, tmp_path: Path
    ) -> None:
        incident = full_incident(tmp_path / "operator.db")
        del incident.figures["evidence"]["E4"]
        page = Page(render(incident, "html"))

        assert "#evidence-E4" in page.attributes("href")
        assert "evidence-E4" in page.attributes("id")

    def test_the_timeline_is_told_by_phases_and_the_same_again_is_one_row(self, incident: Incident) -> None:
        first = incident.signals[0]
        again = tuple(replace(first, wall=first.wall + n) for n in (0.002, 0.004))
        page = Page(render(replace(incident, signals=(first, *again, *incident.signals[1:])), "html"))

        assert page.text.count("process 41 has ended (2 more until +0.004 s)") == 1
        phases = ("Until it was detected", "Until it was healed", "Until it recovered")
        assert [page.text.index(phase) for phase in phases] == sorted(map(page.text.index, phases))

    @pytest.mark.parametrize(
        ("value", "said"),
        [(0.0001, "0 s"), (0.4591, "+0.459 s"), (-0.02, "-0.020 s"), (9.273, "+9.27 s"), (1200, "+20 min")],
    )
    def test_times_are_as_exact_as_they_are_worth(self, value: float, said: str) -> None:
        assert said == seconds(value)

    def test_marks_of_one_time_stand_in_their_own_order(self) -> None:
        at = {"injected": 0.0, "first_signal": 0.0, "detected": 0.0, "healed": 5.0, "recovered": None}

        assert [name for name, _ in in_order(at)] == ["Fault injected", "First signal", "Detected", "Healed"]

    def test_who_saw_it_is_called_the_same_in_every_table(self, incident: Incident) -> None:
        for text in (Page(render(incident, "html")).text, render(incident, "md")):
            timeline = text[text.rindex("Timeline") :]

            assert "kernel" in timeline
            assert " process " not in timeline.replace("process 41", "")

    def test_no_entry_of_the_timeline_lies_outside_its_incident(self, incident: Incident) -> None:
        assert all(0 <= entry["seconds"] <= 6.5 for entry in report(incident)["timeline"])

    def test_what_did_not_hold_is_said(self, tmp_path: Path) -> None:
        lowered = full_incident(tmp_path / "lowered.db", verified=False)

        for form in ("html", "md"):
            assert "not verified, confidence lowered" in render(lowered, form)
        assert "This was not verified" in report(lowered)["summary"]

    def test_what_was_injected_stands_beside_what_was_concluded(self, incident: Incident) -> None:
        said = "Injected: kill on etcd-2; diagnosed: crash of etcd-2."

        assert said in Page(render(incident, "html")).text
        assert said in render(incident, "md").replace("\\", "")


class TestThePage:
    def test_it_loads_nothing_and_runs_nothing(self, incident: Incident) -> None:
        text = render(incident, "html")
        page = Page(text)

        assert not [tag for tag, _ in page.tags if tag in {"script", "iframe", "object", "embed", "img"}]
        assert not page.attributes("src")
        assert not re.search(r"url\(|@import|\bon\w+=", re.sub(r"&lt;.*?&gt;", "", text))
        outside = [link for link in page.attributes("href") if not link.startswith(("#", "data:,"))]
        assert not outside

    def test_hostile_text_stays_text(self, incident: Incident) -> None:
        assert HOSTILE in Page(render(incident, "html")).text.replace("&#x27;", "'")
        tokens = MarkdownIt().parse(render(incident, "md"))
        inline = [child for token in tokens for child in token.children or ()]
        assert not [t for t in (*tokens, *inline) if t.type in {"html_block", "html_inline"}]
        assert not [t for t in inline if t.type == "link_open" and "javascript" in str(t.attrs)]

    def test_it_can_be_read_by_keyboard_and_by_screen_reader(self, incident: Incident) -> None:
        page = Page(render(incident, "html"))
        tags: dict[str, list[dict[str, Any]]] = {}
        for tag, attrs in page.tags:
            tags.setdefault(tag, []).append(attrs)

        assert tags["html"][0]["lang"] == "en"
        assert [len(tags[name]) for name in ("main", "header", "footer", "h1", "nav")] == [1] * 5
        assert any(link.get("href") == "#main" for link in tags["a"]), "a way past the navigation"
        assert all(svg["role"] == "img" and svg["aria-label"] for svg in tags["svg"])
        assert len(tags["caption"]) == len(tags["table"])
        assert all(cell.get("scope") in {"col", "row", "rowgroup"} for cell in tags["th"])
        scrolling = [div for div in tags["div"] if div.get("class") == "scroll"]
        assert all(div["tabindex"] == "0" and div["aria-label"] for div in scrolling)
        ids = page.attributes("id")
        assert len(ids) == len(set(ids))

    def test_an_incident_without_load_has_no_empty_chart(self, bare: Incident) -> None:
        assert "<svg" not in render(bare, "html")


class TestTheChart:
    def test_a_long_load_is_drawn_with_its_worst_seconds(self) -> None:
        many = [{"seconds": float(n), "p99_ms": 900.0 if n == 777 else 5.0} for n in range(5000)]
        drawn = thinned(many)

        assert len(drawn) <= MAX_POINTS
        assert max(window["p99_ms"] for window in drawn) == 900.0

    def test_seconds_with_failures_or_without_success_are_shaded(self) -> None:
        figures = [(5, 0), (4, 1), (0, 0), (5, 0), (5, 2)]
        windows = [
            {"seconds": float(n), "operations": done, "errors": failed}
            for n, (done, failed) in enumerate(figures)
        ]

        assert outages(windows) == [(0.0, 2.0), (3.0, 4.0)]

    def test_every_chart_is_drawn_for_wide_and_for_narrow_windows(self, incident: Incident) -> None:
        page = Page(render(incident, "html"))
        drawn = [attrs for tag, attrs in page.tags if tag == "svg" and "pygal" in (attrs["class"] or "")]

        assert [str(attrs["class"]).split()[-1] for attrs in drawn] == ["wide", "narrow"] * 3

    def test_marks_at_one_place_are_one(self) -> None:
        marks = {"injected": -0.02, "first_signal": 0.0, "detected": 0.01, "healed": 5.0, "recovered": None}

        assert [names for _, names in grouped(marks, 0.5)] == [
            ["fault injected", "first signal", "detected"],
            ["healed"],
        ]


@pytest.mark.parametrize(
    ("columns", "row", "stacked"),
    [
        (("fault", "trials", "detected", "node right", "kind right", "detected after"), ["x" * 9] * 6, True),
        (("Span", "Operations/s", "p50 ms", "p99 ms"), ["before", "296", "49.7", "335"], False),
        (("What", "Figure"), ["a sentence of any length, which can be broken" * 3, "2"], False),
    ],
)
def test_a_table_too_wide_for_a_narrow_window_is_stacked_there(
    columns: tuple[str, ...], row: list[str], *, stacked: bool
) -> None:
    assert ("class=wide" in table("Some", columns, [row])) is stacked
