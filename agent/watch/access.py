"""What a watched cluster asks of us, from the command line and the environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from subjects.access import Access
from subjects.errors import BadSetup


def access_from(
    cacert: Path | None, cert: Path | None, key: Path | None, environ: Mapping[str, str] | None = None
) -> Access:
    """Return certificates as given, and user and password as etcdctl's own variables have them.

    ETCD_USERNAME and ETCD_PASSWORD, else ETCDCTL_USER (`user` or `user:password`) and ETCDCTL_PASSWORD.
    Raises BadSetup for bytes that are no text.
    """
    known = os.environ if environ is None else environ
    user, password = known.get("ETCD_USERNAME"), known.get("ETCD_PASSWORD")
    if not user and (both := known.get("ETCDCTL_USER")):
        user, colon, rest = both.partition(":")
        password = rest if colon else known.get("ETCDCTL_PASSWORD")
    if not f"{user}{password}".isprintable():
        raise BadSetup("The user or password in the environment (ETCD_USERNAME, …) is not valid UTF-8 text.")
    return Access(cacert, cert, key, user or None, password)
