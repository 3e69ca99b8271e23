"""A node that is looked into: what stands there is what people read, whatever form it came in."""

import pytest

from agent.events import Verbatim
from agent.watch.node import NodeReport, readable
from tools.events import Table


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            '{"level":"warn","ts":"2026-11-27T14:56:12.403Z","caller":"a.go:1","msg":"unwell","status":503}',
            "14:56:12.403 warn unwell status=503",
        ),
        ('{"level":"info","msg":"ready"}', "info ready"),
        ("[2026/11/27 14:56:12.403] [INFO] ready", "[2026/11/27 14:56:12.403] [INFO] ready"),
        ('{"half": ', '{"half": '),
        ('{"no": "message"}', '{"no": "message"}'),
    ],
)
def test_a_log_line_is_told_as_people_read_it(line: str, said: str) -> None:
    assert said == readable(line)


def test_figures_have_their_units_once() -> None:
    fields = {"seen_s_ago": 0.52, "quota_bytes": 2 * 1024**3, "db_bytes": 20_480}
    table, log = NodeReport("n1", fields, (), (), ('{"msg":"ready"}',)).drawn()

    assert isinstance(table, Table)
    assert table.rows == (("seen", "0.5 s ago"), ("quota", "2.0 GiB"), ("database", "20.0 KiB"))
    assert isinstance(log, Verbatim)
    assert log.text.splitlines() == ["Last log lines:", "ready"]
