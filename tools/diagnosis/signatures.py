"""Words in databases' logs that mean the same everywhere, because the operating system chose them."""

import re
from dataclasses import dataclass

QUOTE_CHARS = 160
"""So much of a log line is quoted."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A pattern in one log line and the kind of signal that it is."""

    kind: str
    pattern: re.Pattern[str]

    def about(self, line: str) -> str | None:
        """Return the id of the member that the line is about, where that is not the one who wrote it."""
        found = self.pattern.search(line)
        return next((name for name in found.groupdict().values() if name), None) if found else None

    def excerpt(self, line: str) -> str:
        """Return the part of a line that holds the telling words, QUOTE_CHARS at most."""
        found = self.pattern.search(line)
        end = QUOTE_CHARS if found is None else max(QUOTE_CHARS, found.end())
        return line[end - QUOTE_CHARS : end]


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


SIGNATURES: tuple[Signature, ...] = (
    # strerror(3) of ENOSPC, EFBIG and EDQUOT as Go and Rust print it; TiKV's own words for it.
    Signature(
        "log_no_space",
        _words(r"no space left on device|file too large|disk quota exceeded|disk usage \w+->AlreadyFull"),
    ),
    # etcd: ErrNoSpace (the quota of its database, not the disk), and the alarm that it raises.
    Signature("log_quota", _words(r"database space exceeded|\"alarm\":\"NOSPACE\"|alarm:NOSPACE")),
    # etcd: server/storage/wal (1 s); TiKV: raftstore's slow log.
    Signature("log_slow_disk", _words(r"slow fdatasync|sync log (?:took|is) too (?:long|slow)")),
    # etcd: client/pkg/osutil/interrupt_unix.go; PD and TiKV: their signal handlers.
    Signature(
        "log_shutdown",
        _words(
            r"received signal; shutting down|received terminated signal"
            r"|receive signal (?:2|15), (?:stopping|starting graceful)"
            r"|got signal to exit"
        ),
    ),
    # The raft library of etcd, and TiKV's own, when CheckQuorum fails.
    Signature("log_stepped_down", re.compile(r"stepped down to follower since quorum is not active")),
    # TiKV: src/server/server.rs, after PUT /pause_grpc on the status port.
    Signature("log_server_paused", re.compile(r"paused the grpc server")),
    Signature("log_failed", re.compile(r"^panic: |\"level\":\"(?:panic|fatal)\"|\[FATAL\]")),
    # etcd: rafthttp/probing_status.go, every 30 s, up to 3.3 in other words: about the peer that it names.
    # (In old ones `clock-drift` and `rtt` stand in each other's place.) PD: its timestamps.
    Signature(
        "log_clock_drift",
        re.compile(
            r"prober found high clock drift[^}]*?\"remote-peer-id\":\"(?P<peer>[0-9a-f]+)\""
            r"(?:,\"clock-drift\":\"[^\"]*\")?"
            r"|the clock difference against peer (?P<older>[0-9a-f]+) is too high"
            r"|system time (?:jumps backward|may be incorrect)"
        ),
    ),
    # etcd: server/storage/backend, Defrag.
    Signature("log_defragmented", _words(r"(?:starting to|finished) defragment|defragmenting")),
)


def signatures_in(line: str) -> tuple[Signature, ...]:
    """Return the signatures that occur in one log line."""
    return tuple(signature for signature in SIGNATURES if signature.pattern.search(line))


_REASON = re.compile(r"panic|fatal|error", re.IGNORECASE)


def gives_reason(line: str) -> bool:
    """Whether a log line can be the last word of a process that gave up."""
    return _REASON.search(line) is not None and "signal" not in line
