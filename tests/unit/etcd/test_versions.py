"""What etcd 3.4, 3.5, 3.6 and 3.7 answer, as real members answered it: read alike, whatever differs."""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from subjects.base import Health, Metric, UnseenReason
from subjects.etcd import refusals
from subjects.etcd.client import _read_health
from subjects.etcd.status import read_members, read_status, status_of_metrics
from subjects.etcd.views import read_alarm

RECORDED = sorted((Path(__file__).parent / "recorded").glob("etcd_*.json"))


@cache
def recorded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def body(path: Path, state: str, what: str) -> bytes:
    return str(recorded(path)[state][what][1]).encode()


def metrics(path: Path, state: str) -> list[Metric]:
    families = text_string_to_metric_families(recorded(path)[state]["metrics"][1])
    return [Metric(one.name, one.labels, one.value) for family in families for one in family.samples]


def health(path: Path, state: str, what: str = "health") -> Health:
    code, text = recorded(path)[state][what]
    return _read_health(code, text)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
class TestEachVersion:
    """One answer, one meaning."""

    def test_a_member_that_is_well_follows_a_leader(self, path: Path) -> None:
        status = read_status(body(path, "well", "status"))

        assert status is not None
        assert (status.has_leader, status.errors, health(path, "well")) == (True, (), Health.HEALTHY)
        assert status.version.startswith(path.stem.removeprefix("etcd_").replace("_", "."))

    def test_all_members_are_listed_by_one_that_has_no_leader(self, path: Path) -> None:
        members = read_members(body(path, "alone", "members"))

        assert members is not None
        assert sorted(member.name for member in members) == ["m0", "m1", "m2"]

    def test_a_used_up_quota_is_an_alarm_and_no_lost_vote(self, path: Path) -> None:
        status = read_status(body(path, "space_quota", "status"))

        assert status is not None
        assert status.has_leader
        assert {alarm.kind for error in status.errors or () if (alarm := read_alarm(error, {}))} == {
            "NOSPACE"
        }
        assert health(path, "space_quota") is Health.HEALTHY

    def test_without_a_majority_nobody_is_followed(self, path: Path) -> None:
        status = read_status(body(path, "alone", "status"))

        assert status is not None
        assert (status.has_leader, status.leader, health(path, "alone")) == (False, None, Health.UNHEALTHY)

    def test_the_metrics_say_the_same_where_the_gateway_is_off(self, path: Path) -> None:
        code, text = recorded(path)["gateway_off"]["status"]
        unseen = refusals.of_answer(code, text.encode(), "http://h:1")
        status = status_of_metrics(metrics(path, "gateway_off"))

        assert unseen.reason is UnseenReason.NOT_SPOKEN
        assert status is not None
        assert (status.has_leader, status.leader) == (True, status.member_id)
        assert status.term is None

    def test_a_refused_user_is_told_as_ours(self, path: Path) -> None:
        code, text = recorded(path)["wrong_password"]

        assert refusals.of_answer(code, text.encode(), "http://h:1").reason is UnseenReason.DENIED


@pytest.mark.parametrize(
    "path", [each for each in RECORDED if each.stem >= "etcd_3_5"], ids=lambda path: path.stem
)
def test_who_has_no_user_is_denied_and_not_told_of_another_service(path: Path) -> None:
    code, text = recorded(path)["denied"]["status"]
    unseen = refusals.of_answer(code, text.encode(), "http://h:1")

    assert (unseen.reason, unseen.ours) == (UnseenReason.DENIED, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"header":{}}',
        b'{"header":{"member_id":"x"},"version":1}',
        b"[" * 10_000,
    ],
)
def test_what_is_no_status_is_none(answer: bytes) -> None:
    assert read_status(answer) is None
    assert read_members(answer) is None


def test_names_and_words_of_others_stay_on_one_line_and_move_no_cursor() -> None:
    hostile = "a\n\x1b[2J\u202eall is well\x07"
    members = read_members(json.dumps({"members": [{"ID": "1", "name": hostile}]}).encode())
    header = {"member_id": "1", "cluster_id": "1"}
    status = read_status(json.dumps({"header": header, "version": hostile, "errors": [hostile]}).encode())

    assert members is not None
    assert status is not None
    assert (members[0].name, status.version, status.errors) == ("a all is well",) * 2 + (("a all is well",),)


def test_a_metric_that_is_no_number_is_unknown() -> None:
    labels = {"server_id": "1"}
    found = [Metric("etcd_server_id", labels, 1.0), Metric("etcd_server_has_leader", {}, 1.0)]
    status = status_of_metrics([*found, Metric("etcd_mvcc_db_total_size_in_bytes", {}, math.nan)])

    assert status is not None
    assert status.db_bytes is None
