"""Endpoints as people give them: read once, in one form from then on."""

import ipaddress
from urllib.parse import urlsplit

from subjects.errors import BadSetup

DEFAULT_PORT = 2379
"""etcd's and PD's port for clients."""


def parse_endpoint(text: str, scheme: str = "http") -> str:
    """Return `scheme://host:port` of an endpoint; BadSetup says in a line what is wrong with it.

    `scheme` is for those that name none. A path is kept: there are proxies that want one.
    """
    shown = text.encode("ascii", "backslashreplace").decode()
    if not text.isprintable() or not text.isascii() or any(sign.isspace() for sign in text):
        raise BadSetup(f"Endpoint {shown!r}: only printable ASCII signs make an address.")
    whole = text if "://" in text else f"{scheme}://{text}"
    try:
        parts = urlsplit(whole)
        named, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadSetup(f"Endpoint {shown!r}: {_why(whole, str(error))}.") from error
    if parts.scheme not in {"http", "https"}:
        raise BadSetup(f"Endpoint {shown!r}: {parts.scheme}:// is not spoken, only http:// and https://.")
    if "@" in parts.netloc:
        raise BadSetup(f"Endpoint {shown!r}: user and password go into ETCD_USERNAME and ETCD_PASSWORD.")
    if not named:
        raise BadSetup(f"Endpoint {shown!r}: there is no host in it.")
    if port == 0:
        raise BadSetup(f"Endpoint {shown!r}: a port is a number from 1 to 65535.")
    if parts.query or parts.fragment:
        raise BadSetup(f"Endpoint {shown!r}: nothing may follow the port but a path.")
    return f"{parts.scheme}://{netloc(named, port or DEFAULT_PORT)}{parts.path.rstrip('/')}"


def parse_endpoints(text: str) -> tuple[str, ...]:
    """Return the endpoints of a comma-separated list as given, each once; BadSetup for a bad one."""
    given = [each.strip() for each in text.split(",") if each.strip()]
    for each in given:
        parse_endpoint(each)
    return tuple(dict.fromkeys(given))


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a URL of `parse_endpoint` leads."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or DEFAULT_PORT


def netloc(host: str, port: int) -> str:
    """Return `host:port`; an address of IPv6 is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host is whoever asks for it: of no use to others than the machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(whole: str, said: str) -> str:
    given = whole.partition("://")[2].partition("/")[0]
    if "IPv6" in said or "[" in given or "]" in given or given.count(":") > 1:
        return "an IPv6 address goes in brackets, as in http://[::1]:2379"
    return "a port is a number from 1 to 65535"
