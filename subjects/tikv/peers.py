"""What stores say of each other: failures to reach a store, and messages received from it.

Both are counters on the one who tells; only their growth means something. An idle cluster hibernates and
sends nothing, so a good verdict stands until something speaks against it; a bad one only for a while.
"""

from collections.abc import Iterable

from subjects.base import Metric

FAILED = "tikv_server_report_failure_msg_total"
"""On the teller, by `store_id` of the one who could not be reached (TiKV src/server/metrics.rs)."""

HEARD = "tikv_raftstore_message_recv_by_store"
"""On the teller, by `store` of the one who sent (components/raftstore/src/store/metrics.rs)."""


STANDS_S = 15.0
"""How long a bad verdict stands without new failures: a store that is gone is dialled again every 5 s at
most (TiKV src/server/config.rs, raft-client-max-backoff)."""


class PeerViews:
    """The verdicts of every store on every other, by store id."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[float, float]] = {}
        self._holds: dict[tuple[str, str], bool] = {}
        self._failed_at: dict[tuple[str, str], float] = {}

    def take(self, teller: str, samples: Iterable[Metric], at: float) -> None:
        """Take the counters of one store, read at monotonic `at`."""
        failed: dict[str, float] = {}
        heard: dict[str, float] = {}
        for sample in samples:
            if sample.name == FAILED:
                about = sample.labels.get("store_id", "")
                failed[about] = failed.get(about, 0.0) + sample.value
            elif sample.name == HEARD:
                about = sample.labels.get("store", "")
                heard[about] = heard.get(about, 0.0) + sample.value
        for about in failed.keys() | heard.keys():
            self._judge(teller, about, (failed.get(about, 0.0), heard.get(about, 0.0)), at)

    def of(self, about: str) -> dict[str, bool]:
        """Return the verdict on one store, by teller."""
        return {teller: holds for (teller, other), holds in self._holds.items() if other == about}

    def restarted(self, about: str) -> None:
        """Forget what is held against a store that has begun again: the failures counted were of its end."""
        for held in (self._counts, self._holds, self._failed_at):
            for key in [key for key in held if key[1] == about]:
                del held[key]

    def silence(self, teller: str) -> None:
        """Forget what a store said that cannot be asked any more; it begins again when it is back."""
        for key in [key for key in self._counts if key[0] == teller]:
            self._counts.pop(key)
            self._holds.pop(key, None)

    def _judge(self, teller: str, about: str, now: tuple[float, float], at: float) -> None:
        if not about or about == teller:
            return
        key = (teller, about)
        before = self._counts.get(key)
        self._counts[key] = now
        if before is None or now[0] < before[0] or now[1] < before[1]:
            return  # the first look, or the teller was restarted
        if now[0] > before[0]:
            self._holds[key] = False
            self._failed_at[key] = at
        elif now[1] > before[1]:
            self._holds[key] = True
        elif not self._holds.get(key, True) and at - self._failed_at[key] > STANDS_S:
            del self._holds[key]
