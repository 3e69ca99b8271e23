"""What a cluster that somebody else runs asks of its clients."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from subjects.certificate_names import Accepts, verify_by
from subjects.errors import BadSetup


@dataclass(frozen=True, slots=True)
class Access:
    """Certificates, and a user with a password; all of it None for a cluster that asks for nothing."""

    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str | None = None
    password: str | None = None
    accepts: Accepts | None = field(default=None, compare=False)
    """Which names the servers' certificates may be for; None where it must be that of the endpoint."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were given."""
        return tuple(path for path in (self.cacert, self.cert, self.key) if path)

    def ssl_context(self) -> ssl.SSLContext:
        """Return what verifies https endpoints: by `cacert`, else by the system's authorities.

        BadSetup names a file that can't be read.
        """
        try:
            context = ssl.create_default_context(cafile=str(self.cacert) if self.cacert else None)
            # Python 3.13 refuses certificates without key identifiers; etcdctl and the members take them.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            self.load_into(context)
            if self.accepts is not None:
                verify_by(context, self.accepts)
        except (OSError, ssl.SSLError) as error:
            given = ", ".join(map(str, self.files))
            raise BadSetup(f"The certificates cannot be read ({given}): {error}.") from error
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have `context` trust and show what the files hold now; OSError or SSLError where they don't fit."""
        if self.cert is not None:
            # Without a password OpenSSL would ask the terminal for that of an encrypted key, and wait.
            context.load_cert_chain(str(self.cert), str(self.key) if self.key else None, password="")
        if self.cacert is not None:
            context.load_verify_locations(str(self.cacert))


class Certificates:
    """The TLS context of an `Access`, which follows its files: certificates are renewed while we watch."""

    def __init__(self, access: Access) -> None:
        """BadSetup as for `Access.ssl_context`."""
        self.context = access.ssl_context()
        """One object for all connections, so that new ones show what is on disk now."""
        self._access = access
        self._read = self._stamps()

    def refresh(self) -> None:
        """Read the files again where they changed; half-written ones are left for the next time.

        Authorities are only added: those that ended verify nothing any more by themselves.
        """
        stamps = self._stamps()
        if stamps == self._read:
            return
        try:
            self._access.ssl_context()  # raises where certificate and key don't fit: nothing is loaded then
            self._access.load_into(self.context)
        except (BadSetup, OSError, ssl.SSLError):
            return
        self._read = stamps

    def _stamps(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._access.files)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size
