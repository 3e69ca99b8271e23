"""Health answers are read whole, bounded, and never trusted to be what they should be."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subjects.base import Health
from tools.detection.health_answer import MAX_ANSWER, Answer, AnswerReader, StrangeAnswer, judge

ETCD = b'HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 29\r\n\r\n{"health":"true","reason":""}'
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n'
TIKV = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def read(data: bytes, cuts: list[int]) -> Answer | None:
    reader, answer = AnswerReader(), None
    marks = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    for begin, end in pairwise(marks):
        answer = reader.feed(data[begin:end]) or answer
    return answer


@pytest.mark.parametrize("data", [ETCD, CHUNKED, TIKV])
@given(cuts=st.lists(st.integers(0, 500), max_size=8))
def test_an_answer_is_the_same_however_the_network_cuts_it(data: bytes, cuts: list[int]) -> None:
    assert read(data, cuts) == read(data, [])
    answer = read(data, cuts)
    assert answer is not None
    assert judge(answer)[0] is Health.HEALTHY


@pytest.mark.parametrize("end", range(len(ETCD)))
def test_no_part_of_an_answer_is_taken_for_the_whole(end: int) -> None:
    reader = AnswerReader()
    assert end == 0 or reader.feed(ETCD[:end]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
    ],
)
def test_what_is_no_health_answer_is_refused(data: bytes) -> None:
    with pytest.raises(StrangeAnswer):
        AnswerReader().feed(data)


def test_an_endless_body_ends_at_the_bound() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(MAX_ANSWER // 1000 - 1):
        assert reader.feed(b"x" * 1000) is None
    with pytest.raises(StrangeAnswer, match="does not end"):
        reader.feed(b"x" * 2000)


@given(st.binary(max_size=300))
def test_no_bytes_whatever_crash_the_reader(data: bytes) -> None:
    reader = AnswerReader()
    try:
        answer = reader.feed(b"HTTP/1.1 200 OK\r\n" + data)
        if answer is not None:
            judge(answer)
    except StrangeAnswer:
        pass


@pytest.mark.parametrize(
    ("status", "body", "health"),
    [
        (200, b'{"health":"true"}', Health.HEALTHY),
        (200, b'{"health":true}', Health.HEALTHY),
        (200, b"", Health.HEALTHY),
        (200, b'{"health":"false"}', Health.UNHEALTHY),
        (200, b'{"health":false}', Health.UNHEALTHY),
        (200, b'[{"name":"pd","health":true}]', Health.HEALTHY),
        (503, b'{"health":"false"}', Health.UNHEALTHY),
        (500, b"internal error", Health.UNHEALTHY),
    ],
)
def test_the_nodes_own_word_is_understood(status: int, body: bytes, health: Health) -> None:
    assert judge(Answer(status, body, closes=False))[0] is health


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b""), (302, b""), (401, b"{}")])
def test_another_service_is_told_from_a_sick_node(status: int, body: bytes) -> None:
    with pytest.raises(StrangeAnswer, match="some other service"):
        judge(Answer(status, body, closes=False))


@pytest.mark.parametrize(
    ("reason", "health"), [("ALARM NOSPACE", Health.HEALTHY), ("RAFT NO LEADER", Health.UNHEALTHY)]
)
def test_an_alarm_of_the_cluster_makes_no_member_unhealthy(reason: str, health: Health) -> None:
    body = b'{"health":"false","reason":"%s"}' % reason.encode()

    assert judge(Answer(503, body, closes=False))[0] is health
