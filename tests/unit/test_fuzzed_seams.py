"""Whatever comes from outside, it ends in a value or an expected error (for minutes: tests.bench.fuzz)."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.standins.seams import SEAMS


@pytest.mark.parametrize("name", SEAMS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_input_comes_to_an_expected_end(name: str, data: st.DataObject) -> None:
    seam, strategies = SEAMS[name]
    values: list[Any] = [data.draw(strategy) for strategy in strategies]
    seam(*values)
