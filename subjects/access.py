"""What a cluster that somebody else runs asks of its clients."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from subjects.errors import BadSetup


@dataclass(frozen=True, slots=True)
class Access:
    """Certificates, and a user with a password; all of it None for a cluster that asks for nothing."""

    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str | None = None
    password: str | None = None

    def ssl_context(self) -> ssl.SSLContext | bool:
        """Return what httpx takes for `verify`; BadSetup names a file that can't be read."""
        if self.cacert is None and self.cert is None:
            return True
        try:
            context = ssl.create_default_context(cafile=str(self.cacert) if self.cacert else None)
            if self.cert is not None:
                context.load_cert_chain(str(self.cert), str(self.key) if self.key else None)
        except (OSError, ssl.SSLError) as error:
            given = ", ".join(str(path) for path in (self.cacert, self.cert, self.key) if path)
            raise BadSetup(f"The certificates cannot be read ({given}): {error}.") from error
        return context
