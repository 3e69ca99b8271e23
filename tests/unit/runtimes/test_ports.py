"""Ports that several operators choose at the same time, before any of their members has bound one."""

import subprocess
import sys
from pathlib import Path

import pytest

from subjects.errors import NotReady
from subjects.runtimes.ports import for_processes, free_ports
from tests.e2e.programs import OPERATOR, left_running
from tests.needs import NO_NETWORK

CHOOSE = """
import sys
from subjects.runtimes.ports import free_ports
print(*free_ports(5, (int(sys.argv[1]), int(sys.argv[1]) + 199)), flush=True)
sys.stdin.read()
"""


@pytest.mark.network_namespace
def test_where_loopback_is_down_a_cluster_is_refused_in_a_line_and_nothing_is_started(tmp_path: Path) -> None:
    command = [*NO_NETWORK, *OPERATOR, "--state-dir", str(tmp_path), "deploy", "up", "--subject", "etcd"]
    ran = subprocess.run(
        [*command, "--runtime", "process"], capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 1
    assert "127.0.0.1 cannot be reached on this machine" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert left_running(tmp_path) == []


def test_no_two_operators_choose_the_same_port() -> None:
    low = for_processes()[0]
    command = [sys.executable, "-c", CHOOSE, str(low)]
    choosing = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    try:
        chosen = [port for each in choosing if each.stdout for port in each.stdout.readline().split()]
    finally:
        for each in choosing:
            each.communicate()

    assert len(chosen) == len(set(chosen)) == 40


def test_one_operator_chooses_no_port_twice_and_says_when_there_are_no_more() -> None:
    port = free_ports(1)[0]

    with pytest.raises(NotReady, match=f"between {port} and {port}"):
        free_ports(1, (port, port))
