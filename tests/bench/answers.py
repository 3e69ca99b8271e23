"""What reading one health answer costs: the probes' own reader, and h11.

    python -m tests.bench.answers

prints JSON: microseconds of CPU for an answer of etcd, medians of 9 rounds taken in turns.
"""

import json
import statistics
import time
from collections.abc import Callable

import h11

from tests.bench.machine import describe
from tools.detection.health_answer import AnswerReader, judge

ANSWERS, ROUNDS = 2_000, 9

ANSWER = (
    b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Headers: accept, content-type, authorization\r\n"
    b"Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\nAccess-Control-Allow-Origin: *\r\n"
    b"Date: Fri, 27 Nov 2026 22:00:00 GMT\r\nContent-Length: 29\r\n"
    b'Content-Type: text/plain; charset=utf-8\r\n\r\n{"health":"true","reason":""}'
)
"""As etcd 3.5 gives it."""


def by_hand() -> None:
    """Read and judge them as the probes do."""
    for _ in range(ANSWERS):
        answer = AnswerReader().feed(ANSWER)
        assert answer is not None
        judge(answer)


def by_h11() -> None:
    """Read them over one connection of h11, the body with them."""
    connection = h11.Connection(h11.CLIENT)
    for _ in range(ANSWERS):
        connection.send(h11.Request(method="GET", target="/health", headers=[("Host", "etcd")]))
        connection.send(h11.EndOfMessage())
        connection.receive_data(ANSWER)
        while not isinstance(connection.next_event(), h11.EndOfMessage):
            pass
        connection.start_next_cycle()


def _us(read: Callable[[], None]) -> float:
    began = time.process_time()
    read()
    return (time.process_time() - began) / ANSWERS * 1e6


def main() -> None:
    """Measure and print."""
    rounds = [(_us(by_hand), _us(by_h11)) for _ in range(ROUNDS)]
    own, other = (round(statistics.median(column), 1) for column in zip(*rounds, strict=True))
    print(json.dumps({"machine": describe(), "own_us": own, "h11_us": other}, indent=2))


if __name__ == "__main__":
    main()
