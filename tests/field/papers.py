"""Certificates for field cases, made by openssl: an authority, and what it signs for as long as is asked."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.field.members import NotHere

NAMES = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost"


@dataclass(frozen=True)
class Signed:
    """A certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """An authority of its own, in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        if shutil.which("openssl") is None:
            raise NotHere("there is no openssl to make certificates with")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.cert, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl(
            "req",
            "-x509",
            *_NEW_KEY,
            "-keyout",
            self._key,
            "-out",
            self.cert,
            "-subj",
            f"/CN={name}",
            "-days",
            "9",
        )

    def sign(self, name: str, *, until: str = "", common_name: str = "") -> Signed:
        """Sign a certificate for loopback; `until` is its end (YYYYMMDDHHMMSSZ), else in nine days."""
        cert, key, asked = (self._folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", asked, "-subj", f"/CN={common_name or name}")
        rules = self._folder / f"{name}.rules"
        (self._folder / "index").touch()
        rules.write_text(_RULES.format(folder=self._folder, names=NAMES))
        lasts = ("-startdate", "20200101000000Z", "-enddate", until) if until else ("-days", "9")
        _openssl(
            *("ca", "-batch", "-notext", "-config", rules, "-in", asked, "-out", cert, *lasts),
            *("-cert", self.cert, "-keyfile", self._key),
        )
        return Signed(cert, key)

    def context(self, client: Signed | None = None) -> ssl.SSLContext:
        """Return what trusts it, for the truth that is measured beside operator."""
        context = ssl.create_default_context(cafile=str(self.cert))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as etcd's own clients do
        if client is not None:
            context.load_cert_chain(str(client.cert), str(client.key))
        return context


_RULES = """
[ca]
default_ca = here
[here]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
x509_extensions = both
[any]
commonName = supplied
[both]
{names}
extendedKeyUsage = serverAuth,clientAuth
"""

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
