"""Words in databases' logs that mean the same everywhere, because the operating system chose them."""

import re
from dataclasses import dataclass

from tools.diagnosis.facts import Side


@dataclass(frozen=True, slots=True)
class Signature:
    """A pattern in one log line and the word that it stands for."""

    side: Side
    word: str
    pattern: re.Pattern[str]


SIGNATURES: tuple[Signature, ...] = (
    # strerror(3) of ENOSPC, EFBIG and EDQUOT as Go and Rust print it; etcd's and TiKV's own words for it.
    Signature(
        "disk",
        "full",
        re.compile(
            r"no space left on device|file too large|disk quota exceeded|database space exceeded"
            r"|disk usage \w+->AlreadyFull|\"alarm\":\"NOSPACE\"",
            re.IGNORECASE,
        ),
    ),
    # etcd: server/storage/wal (1 s); TiKV: raftstore's slow log.
    Signature(
        "disk", "slow", re.compile(r"slow fdatasync|sync log (?:took|is) too (?:long|slow)", re.IGNORECASE)
    ),
    # etcd: client/pkg/osutil/interrupt_unix.go; PD and TiKV: their signal handlers.
    Signature(
        "restart",
        "graceful",
        re.compile(
            r"received signal; shutting down|received terminated signal|receive signal (?:2|15), stopping"
            r"|got signal to exit",
            re.IGNORECASE,
        ),
    ),
    Signature("process", "failed", re.compile(r"^panic: |\"level\":\"(?:panic|fatal)\"|\[FATAL\]")),
)


def signatures_in(line: str) -> tuple[Signature, ...]:
    """Return the signatures that occur in one log line."""
    return tuple(signature for signature in SIGNATURES if signature.pattern.search(line))
