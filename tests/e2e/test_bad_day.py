"""Whatever goes wrong around a demo, and whenever: it ends healed, leaves nothing, and tells the truth."""

from pathlib import Path

import pytest

from tests.standins.bad_day import Day, Moment, live, state_folder

pytestmark = pytest.mark.xdist_group("demos")

DAYS = {
    "no room from the load on, and an hour back": Day(Moment(2, 0.5), Moment(6, 0.1), -7200.0, None),
    "the terminal closed at the heal": Day(None, Moment(1, 0.5), 7200.0, Moment(6, 0.2)),
}
"""Others, drawn: python -m tests.bench.bad_day."""


@pytest.mark.slow
@pytest.mark.parametrize("name", DAYS)
def test_it_ends_healed_and_true(name: str, tmp_path: Path) -> None:
    with state_folder(tmp_path) as (state, small):
        came = live(DAYS[name], state, small=small)

    assert came["wrong"] == [], came
