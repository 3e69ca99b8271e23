"""Why a member could not be asked: whatever went wrong, sorted into whose fault it is and what to do.

Who refuses us, can't be asked or answers in a way that we don't speak is not down.
"""

import ssl

import httpx2

from subjects.base import Unseen, UnseenReason
from subjects.spoken import Spoken

_REASON = UnseenReason

HTTPS, HTTP = "give it with https://", "give it with http://"
OTHER_NAME = "give the endpoint by a name that its certificate has"
UNKNOWN_AUTHORITY = "--cacert names the authority that signed it"
CLIENT_CERTIFICATE = "--cert and --key give a certificate that its authority signed and that has not expired"
USER = "ETCD_USERNAME and ETCD_PASSWORD give a user that may; for maintenance that is root"
HTTP_ADDRESS = "give an address that speaks HTTP: its --listen-client-http-urls or --listen-metrics-urls"
FOR_CLIENTS = "give an address for clients: one of a member's --advertise-client-urls, usually port 2379"
GATEWAY = "start it without --enable-grpc-gateway=false, or give the addresses of other members"


def of_error(error: httpx2.HTTPError, url: str) -> Unseen:
    """Say why a request failed before there was an answer."""
    said = _chain(error)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return _untrusted(said, url)
    if isinstance(error, httpx2.TimeoutException):
        return Unseen(_REASON.SILENT, f"{url}: no answer in time")
    if _has(said, "ALERT"):
        return _refused_certificate(said, url)
    if _has(said, "WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"):
        return Unseen(_REASON.NOT_SPOKEN, f"{url} does not speak TLS", HTTP)
    if _has(
        said, "NAME OR SERVICE NOT KNOWN", "NODENAME NOR SERVNAME", "NAME RESOLUTION", "NO ADDRESS ASSOC"
    ):
        text = f"the name in {url} does not resolve here"
        return Unseen(_REASON.BAD_ADDRESS, text, "give an address that can be reached from here")
    if isinstance(error, httpx2.RemoteProtocolError) and "disconnected" not in said:
        return Unseen(_REASON.OTHER, f"{url} does not speak HTTP")
    if isinstance(error, httpx2.ConnectError) and not _has(said, "REFUSED", "RESET"):
        return Unseen(_REASON.SILENT, f"{url} cannot be reached: {_last(error)}")
    refused = isinstance(error, httpx2.ConnectError)
    text = f"{url} refuses connections" if refused else f"{url} hangs up: {_last(error)}"
    return Unseen(_REASON.REFUSED, text)


def of_answer(code: int, body: bytes, url: str) -> Unseen:
    """Say what an HTTP answer means that is not the one that was asked for."""
    said = body[:200].decode(errors="replace")
    low = said.lower()
    if code == httpx2.codes.NOT_FOUND and "page not found" in low:
        return Unseen(
            _REASON.NOT_SPOKEN, f"{url} has its JSON gateway off: {' '.join(said.split())}", GATEWAY
        )
    if code in {401, 403} or any(word in low for word in _AUTH):
        return Unseen(_REASON.DENIED, f"{url} lets us see nothing: {message(said)}", USER)
    if "http request to an https server" in low:
        return Unseen(_REASON.NOT_SPOKEN, f"{url} speaks TLS", HTTPS)
    if code in {407, 502, 503, 504} and not low.startswith("{"):
        text = f"a proxy answers at {url} with HTTP {code}"
        return Unseen(_REASON.OTHER, text, "give the members' own addresses")
    return Unseen(_REASON.OTHER, f"{url} does not answer as etcd does: HTTP {code} {message(said)}".rstrip())


def may_speak_otherwise(error: httpx2.HTTPError, unseen: Unseen) -> bool:
    """Whether something answers there that may speak another protocol than we did."""
    if unseen.reason not in {_REASON.REFUSED, _REASON.SILENT, _REASON.OTHER}:
        return False
    if isinstance(error, httpx2.ConnectError):  # a handshake that broke, if anybody listens at all
        return "https://" in unseen.text and not _has(_chain(error), "REFUSED", "ERRNO", "ATTEMPTS FAILED")
    return isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError)


def speaks(what: Spoken | None, url: str) -> Unseen | None:
    """Say what is spoken at an address; None when that is not known."""
    match what:
        case "grpc":
            return Unseen(_REASON.NOT_SPOKEN, f"{url} speaks gRPC only", HTTP_ADDRESS)
        case "http":
            return Unseen(_REASON.NOT_SPOKEN, f"{url} does not speak TLS", HTTP)
        case "tls":
            return Unseen(_REASON.NOT_SPOKEN, f"{url} speaks TLS", HTTPS)
        case None:
            return None


def of_port(url: str, *, version: bool, members: bool) -> Unseen | None:
    """Say which other port of etcd it is that knows no JSON gateway; None for one that clients use.

    Peers' ports list the members at `/members`; only ports of peers and clients answer `/version`.
    """
    if members:
        text = f"{url} is a peer address, at which only members talk to each other"
    elif not version:
        text = f"{url} has metrics and health only: it is a metrics address, or etcd's gRPC proxy"
    else:
        return None
    return Unseen(_REASON.NOT_SPOKEN, text, FOR_CLIENTS)


def denied_user(user: str, url: str, said: str) -> Unseen:
    """Say that user and password don't do."""
    text = f"{url} refuses the user {user!r}: {message(said)}"
    return Unseen(_REASON.DENIED, text, "check ETCD_USERNAME and ETCD_PASSWORD")


def message(said: str) -> str:
    """Return what a JSON error says, in a line."""
    text = said.partition('"message":"')[2].partition('"')[0] or said
    return " ".join(text.split())[:120]


_AUTH = (
    "permission denied",
    "user name is empty",
    "invalid auth token",
    "authentication failed",
    "auth token",
)


def _untrusted(said: str, url: str) -> Unseen:
    low = said.lower()
    if "has expired" in low:
        return Unseen(
            _REASON.EXPIRED, f"the certificate of {url} has expired", "renew the certificate of the member"
        )
    if "not yet valid" in low:
        text = f"the certificate of {url} is not valid yet"
        return Unseen(_REASON.UNTRUSTED, text, "compare the clocks of this machine and the member's")
    if "mismatch" in low or "not valid for" in low:
        text = f"the certificate of {url} is for another name"
        return Unseen(_REASON.UNTRUSTED, text, OTHER_NAME)
    return Unseen(
        _REASON.UNTRUSTED, f"the certificate of {url} is signed by an unknown authority", UNKNOWN_AUTHORITY
    )


def _refused_certificate(said: str, url: str) -> Unseen:
    if _has(said, "CERTIFICATE_REQUIRED", "CERTIFICATE REQUIRED"):
        return Unseen(_REASON.DENIED, f"{url} wants a client certificate", CLIENT_CERTIFICATE)
    if _has(said, "CERTIFICATE"):
        expired = ", which has expired" if _has(said, "CERTIFICATE_EXPIRED", "CERTIFICATE EXPIRED") else ""
        text = f"{url} refuses our client certificate{expired or ', or that there is none'}"
        return Unseen(_REASON.DENIED, text, CLIENT_CERTIFICATE)
    return Unseen(_REASON.DENIED, f"{url} ends the TLS handshake with an alert", CLIENT_CERTIFICATE)


def _has(said: str, *words: str) -> bool:
    high = said.upper()
    return any(word in high for word in words)


def _chain(error: BaseException | None) -> str:
    """Return the words of an error and of what caused it."""
    words: list[str] = []
    while error is not None and len(words) < 6:
        words.append(f"{type(error).__name__} {error}")
        if isinstance(error, ssl.SSLCertVerificationError):
            words.append(error.verify_message)
        error = error.__cause__ or error.__context__
    return " ".join(words)


def _last(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
