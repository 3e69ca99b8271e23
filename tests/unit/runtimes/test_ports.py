"""Ports that several operators choose at the same time, before any of their members has bound one."""

import subprocess
import sys

import pytest

from subjects.errors import NotReady
from subjects.runtimes.ports import for_processes, free_ports

CHOOSE = """
import sys
from subjects.runtimes.ports import free_ports
print(*free_ports(5, (int(sys.argv[1]), int(sys.argv[1]) + 199)), flush=True)
sys.stdin.read()
"""


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
