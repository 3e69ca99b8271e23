"""`DOCKER_HOST` as people set it."""

import pytest

from subjects.errors import NotReady
from subjects.runtimes.engine import connect


@pytest.mark.parametrize("host", ["tcp://[::1", "tcp://\udcffa[", "nonsense"])
async def test_what_is_no_address_of_an_engine_is_told_in_a_line(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(NotReady, match="DOCKER_HOST") as raised:
        await connect()

    assert "\n" not in str(raised.value)
