"""Servers that are known by other names than the address at which they are reached, as pods are."""

import ipaddress
import ssl
from collections.abc import Callable
from typing import Any

Accepts = Callable[[str], bool]
"""Whether a certificate for this name or IP address is that of one of the servers."""


def verify_by(context: ssl.SSLContext, accepts: Accepts) -> None:
    """Have `context` hold certificates against `accepts`, in place of the address that was dialled.

    That an authority which is trusted has signed them is verified as before. Connections of asyncio only.
    """

    class Verified(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            names = names_in(self.getpeercert() or {})
            if not any(map(accepts, names)):
                why = f"Hostname mismatch, certificate is for {', '.join(names) or 'no name'}"
                error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] {why}")
                error.verify_code, error.verify_message = _HOSTNAME_MISMATCH, why
                raise error

    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.sslobject_class = Verified


def names_in(certificate: dict[str, Any]) -> tuple[str, ...]:
    """Return the names and addresses that a certificate is for."""
    found = certificate.get("subjectAltName", ())
    return tuple(_plain(str(name)) for kind, name in found if kind in ("DNS", "IP Address"))


def _plain(name: str) -> str:
    """Return a name in lower case, an address in its usual form: OpenSSL writes `FD00:0:0:0:0:0:0:7`."""
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name.lower()


_HOSTNAME_MISMATCH = 62
"""X509_V_ERR_HOSTNAME_MISMATCH of OpenSSL."""
