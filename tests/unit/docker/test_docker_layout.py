"""What Compose 1 and 2 print of the same file is read alike, and found again."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from subjects.base import Direction, LinkRule, Scope
from subjects.errors import BadSetup, NewerState, Unsupported
from subjects.etcd import compose
from subjects.runtimes import docker_layout
from subjects.runtimes.docker import DockerRuntime
from subjects.runtimes.docker_events import engine_time
from subjects.runtimes.docker_layout import DockerLayout, Service, read_services
from subjects.runtimes.docker_network import (
    Attachment,
    Place,
    refuse_what_cannot_be,
    rules_in_force,
    to_be_missing,
)

V1 = """
services:
  a: {image: x, ports: ["127.0.0.1:23791:2379/tcp", "2380/tcp"]}
  load: {image: y, profiles: [load]}
"""
V2 = """
name: p
services:
  a:
    image: x
    ports: [{mode: ingress, host_ip: 127.0.0.1, target: 2379, published: "23791", protocol: tcp}]
  load: {image: y, profiles: [load]}
"""


@pytest.mark.parametrize("text", [V1, V2])
def test_published_ports_are_read_in_both_forms(text: str) -> None:
    assert read_services(text, Path("f")) == (Service("a", "x", {2379: ("127.0.0.1", 23791)}),)


@pytest.mark.parametrize(
    ("port", "host"),
    [
        ("'[::1]:23791:2379/tcp'", "::1"),
        ("'[::]:23791:2379'", "::1"),
        ('{host_ip: "::1", target: 2379, published: "23791"}', "::1"),
        ('{host_ip: "::", target: 2379, published: "23791"}', "::1"),
        ("'23791:2379'", "127.0.0.1"),
        ('{host_ip: 0.0.0.0, target: 2379, published: "23791"}', "127.0.0.1"),
    ],
)
def test_a_port_that_is_published_on_ipv6_or_everywhere_is_asked_on_loopback(port: str, host: str) -> None:
    services = read_services(f"services: {{a: {{image: x, ports: [{port}]}}}}", Path("f"))

    assert services == (Service("a", "x", {2379: (host, 23791)}),)


def test_an_address_of_ipv6_is_in_brackets_in_urls() -> None:
    services = (Service("a", "x", {2379: ("::1", 23791)}),)
    runtime = SimpleNamespace(layout=DockerLayout("etcd", "p", "/f", "unix:///x", {}, services))

    subject = compose.make_subject(cast(DockerRuntime, runtime))

    assert subject.watch_address("a") == ("::1", 23791)


@pytest.mark.parametrize("text", ["", "services: 3", "{", "services: {load: {profiles: [x]}}"])
def test_a_file_without_services_is_refused(text: str) -> None:
    with pytest.raises(BadSetup):
        read_services(text, Path("f"))


def test_a_layout_is_found_again_and_a_newer_one_refused(tmp_path: Path) -> None:
    services = (Service("a", "x", {2379: ("127.0.0.1", 1)}),)
    layout = DockerLayout("etcd", "operator-etcd-1", "/f", "unix:///x", {"A_PORT": "1"}, services)
    docker_layout.save(layout, tmp_path)

    assert docker_layout.load(tmp_path) == layout
    assert docker_layout.load(tmp_path / "none") is None

    (tmp_path / docker_layout.FILE).write_text('{"version": 99}')
    with pytest.raises(NewerState):
        docker_layout.load(tmp_path)


def _place(attached: set[str]) -> Place:
    belongs = tuple(Attachment(name, name, Scope(name), "10.0.0.2", ("a",)) for name in ("peers", "clients"))
    return Place("a", "id", belongs, frozenset(attached))


@pytest.mark.parametrize(
    ("attached", "scope"),
    [
        ({"peers", "clients"}, None),
        ({"clients"}, Scope.PEERS),
        ({"peers"}, Scope.CLIENTS),
        (set(), Scope.BOTH),
    ],
)
def test_missing_networks_are_the_rules_in_force(attached: set[str], scope: Scope | None) -> None:
    expected = () if scope is None else (LinkRule("a", "cut", scope=scope),)

    assert rules_in_force([_place(attached)]) == expected
    assert to_be_missing(_place(attached), expected) == {"peers", "clients"} - attached


@pytest.mark.parametrize(
    "rule",
    [
        LinkRule("a", "delay", 5.0),
        LinkRule("a", "cut", direction=Direction.IN),
    ],
)
def test_what_an_engine_cannot_do_is_refused_with_the_reason(rule: LinkRule) -> None:
    with pytest.raises(Unsupported, match=r".+: .+"):
        refuse_what_cannot_be([rule])


def test_the_engines_times_are_read_with_their_nanoseconds_and_zone() -> None:
    assert engine_time("2026-01-01T00:00:00.5Z") == 1767225600.5
    assert engine_time("2026-01-01T01:00:00.123456789+01:00") == pytest.approx(1767225600.123456789)
    assert engine_time("2026-01-01T00:00:00Z") == 1767225600
    assert engine_time("0001-01-01T00:00:00Z") == 0
