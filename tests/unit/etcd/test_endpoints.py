"""Endpoints as people give them: read in one form, or refused in a line that says what is wrong."""

import pytest
from click.testing import CliRunner

from agent.commands.root import cli
from subjects.endpoints import is_loopback, parse_endpoint, parse_endpoints
from subjects.errors import BadSetup


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("127.0.0.1:2379", "http://127.0.0.1:2379"),
        ("etcd-0.etcd", "http://etcd-0.etcd:2379"),
        ("http://h:80/", "http://h:80"),
        ("https://h:2379/etcd/", "https://h:2379/etcd"),
        ("HTTP://h:1", "http://h:1"),
        ("[::1]:2379", "http://[::1]:2379"),
        ("http://[fe80::1%25eth0]:2379", "http://[fe80::1%25eth0]:2379"),
        ("https://[::1]", "https://[::1]:2379"),
    ],
)
def test_every_usual_form_is_read(given: str, url: str) -> None:
    assert parse_endpoint(given) == url


def test_what_names_no_scheme_gets_the_one_that_certificates_imply() -> None:
    assert parse_endpoint("h:1", "https") == "https://h:1"


BAD = [
    ("http://::1:2379", "brackets"),
    ("::1:2379", "brackets"),
    ("http://[::1:2379", "brackets"),
    ("http://h:abc", "port"),
    ("http://h:99999", "port"),
    ("http://h:0", "port"),
    ("http://h:-1", "port"),
    ("http://", "no host"),
    ("http://:2379", "no host"),
    ("ftp://h:1", "not spoken"),
    ("unix:///run/etcd.sock", "not spoken"),
    ("http://u:p@h:1", "ETCD_USERNAME"),
    ("http://h:1?x=1", "nothing may follow"),
    ("http://h\udcff:1", "ASCII"),
    ("http://h\x00:1", "ASCII"),
    ("http://a b:1", "ASCII"),
    ("http://hôte:1", "ASCII"),
]


@pytest.mark.parametrize(("given", "words"), BAD)
def test_a_malformed_one_is_refused_in_a_printable_line(given: str, words: str) -> None:
    with pytest.raises(BadSetup, match=words) as raised:
        parse_endpoint(given)

    text = str(raised.value)
    assert text.isprintable()
    assert text.isascii()


@pytest.mark.parametrize("given", [given for given, _ in BAD if "\x00" not in given])
def test_the_command_ends_with_wrong_usage(given: str) -> None:
    result = CliRunner().invoke(cli, ["watch", "--endpoints", f"http://127.0.0.1:1,{given}"])

    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_list_is_read_once_each() -> None:
    assert parse_endpoints(" a:1, b:2 ,,a:1") == ("a:1", "b:2")


@pytest.mark.parametrize(
    ("host", "whether"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("etcd-0", False)],
)
def test_loopback_is_of_use_to_its_own_machine_only(host: str, whether: bool) -> None:
    assert is_loopback(host) is whether
