"""Which endpoint a client asks next: all in turn, without waiting again and again for one that is gone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

REST_S = 1.0
"""How long an endpoint that failed is left alone; then one operation a second tries it."""

SILENT_S = 0.5
"""An endpoint that owes answers and has given none for so long is passed over, before any deadline ends."""


@dataclass(slots=True)
class _Endpoint:
    url: str
    owed: int = 0
    """Requests that it has not answered."""
    heard: float = 0.0
    """When it answered last, or when it began to owe."""
    failed: bool = False
    rests_until: float = 0.0

    def fit(self, now: float) -> bool:
        return not self.failed and not (self.owed and now - self.heard > SILENT_S)


class Rotation:
    """The endpoints of one cluster, as one client has found them."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        if not urls:
            raise ValueError("a rotation needs at least one endpoint")
        self._endpoints = [_Endpoint(url) for url in dict.fromkeys(urls)]
        self._by_url = {endpoint.url: endpoint for endpoint in self._endpoints}
        self._turn = -1
        self._clock = clock

    def order(self, *, trial: bool) -> list[str]:
        """Return every endpoint once, the one to ask first in front.

        With `trial` (an operation that may be repeated elsewhere) an endpoint that has rested comes
        first, once a rest; without it, those that failed come last until such a trial succeeds.
        """
        now = self._clock()
        self._turn = (self._turn + 1) % len(self._endpoints)
        ring = self._endpoints[self._turn :] + self._endpoints[: self._turn]
        fit = [endpoint.url for endpoint in ring if endpoint.fit(now)]
        if len(fit) == len(ring):
            return fit
        unfit = sorted((e for e in ring if not e.fit(now)), key=lambda endpoint: endpoint.rests_until)
        if trial and fit and unfit[0].failed and unfit[0].rests_until <= now:
            unfit[0].rests_until = now + REST_S
            return [unfit[0].url, *fit, *(endpoint.url for endpoint in unfit[1:])]
        return fit + [endpoint.url for endpoint in unfit]

    def asked(self, url: str) -> None:
        """Note that a request goes out."""
        endpoint = self._by_url[url]
        if not endpoint.owed:
            endpoint.heard = self._clock()
        endpoint.owed += 1

    def answered(self, url: str) -> None:
        """Note an answer: the endpoint is healthy."""
        endpoint = self._by_url[url]
        endpoint.owed -= 1
        endpoint.heard = self._clock()
        endpoint.failed = False

    def failed(self, url: str) -> None:
        """Note that a request got no answer, or none that a working endpoint gives."""
        endpoint = self._by_url[url]
        endpoint.owed -= 1
        endpoint.failed = True
        endpoint.rests_until = self._clock() + REST_S

    def dropped(self, url: str) -> None:
        """Note that a request was given up for reasons of our own: it says nothing of the endpoint."""
        self._by_url[url].owed -= 1
