"""Which of the errors in a status are alarms, and whose."""

import pytest

from subjects.base import Alarm
from subjects.etcd.views import read_alarm

NAMES = {"91bc3c398fb3c146": "m1"}


@pytest.mark.parametrize(
    ("error", "alarm"),
    [
        ("memberID:10501334649042878790 alarm:NOSPACE ", Alarm("NOSPACE", "m1")),
        ("memberID:10501334649042878790 alarm:CORRUPT ", Alarm("CORRUPT", "m1")),
        ("memberID:255 alarm:NOSPACE ", Alarm("NOSPACE", "ff")),
        ("alarm:CORRUPT ", Alarm("CORRUPT", None)),
        ("etcdserver: no leader", None),
        ("", None),
    ],
)
def test_an_alarm_is_known_by_its_words_and_its_member_by_id(error: str, alarm: Alarm | None) -> None:
    found = read_alarm(error, NAMES)

    assert (found is None) == (alarm is None)
    if found is not None and alarm is not None:
        assert (found.kind, found.node, str(found)) == (alarm.kind, alarm.node, str(alarm))
        assert found.raw == error.strip()
