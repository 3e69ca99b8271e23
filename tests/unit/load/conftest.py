"""Real etcd members for the tests of the load."""

from collections.abc import Iterator

import pytest

from subjects.base import LoadTarget
from tests.standins.etcd_members import Members


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """One etcd member, shared by the tests of a module."""
    with Members(tmp_path_factory.mktemp("one"), 1) as members:
        yield members


@pytest.fixture
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """Three etcd members to kill and pause."""
    with Members(tmp_path_factory.mktemp("three"), 3) as members:
        yield members


@pytest.fixture
def target(member: Members) -> LoadTarget:
    """How the load reaches the one member."""
    return LoadTarget("subjects.etcd.load:EtcdDriver", member.endpoints)
