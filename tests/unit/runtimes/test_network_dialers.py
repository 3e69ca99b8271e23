"""Who dialled a connection that passes the network process, and what becomes of one nobody owns up to."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from subjects.base import LinkRule, Scope
from subjects.runtimes import identity
from subjects.runtimes.layout import Link
from subjects.runtimes.network.connection import Connection
from subjects.runtimes.network.dialers import GONE, who_dials
from subjects.runtimes.network.pipe import Pipe
from subjects.runtimes.network.sockdiag import Ends


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def dial(server: socket.socket) -> tuple[socket.socket, Ends]:
    """Connect; returns our end, and both ends as the network process sees them."""
    near = socket.create_connection(server.getsockname())
    return near, (near.getsockname(), server.getsockname())


def test_a_nodes_own_connection_is_known_as_its(tmp_path: Path, listening: socket.socket) -> None:
    (tmp_path / "nodes" / "n1").mkdir(parents=True)
    identity.write(tmp_path / "nodes" / "n1" / "process.json", identity.own())
    near, ends = dial(listening)

    with near:
        assert who_dials(tmp_path, ["n1"], [ends]) == {ends: "n1"}


def test_a_clients_connection_is_left_out(tmp_path: Path, listening: socket.socket) -> None:
    near, ends = dial(listening)

    with near:
        assert who_dials(tmp_path, [], [ends]) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a closed end")
def test_one_who_spoke_and_hung_up_before_it_was_asked_is_gone(
    tmp_path: Path, listening: socket.socket
) -> None:
    near, ends = dial(listening)
    near.sendall(b"a heartbeat")
    near.close()

    assert who_dials(tmp_path, [], [ends]) == {ends: GONE}


def test_what_nobody_owns_up_to_passes_no_cut_between_peers() -> None:
    cut = LinkRule("n3", "cut", scope=Scope.PEERS)
    for scope, touched in ((Scope.PEERS, True), (Scope.CLIENTS, False)):
        connection = Connection(Link("n1", scope, 1, 2), Pipe())
        assert connection.touched([cut], "cut") is None
        connection.source = GONE

        assert (connection.touched([cut], "cut") is not None) == touched
