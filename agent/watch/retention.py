"""Forgetting old incidents, so that a watch of months does not fill the disk."""

import asyncio
import sqlite3
import time
from contextlib import suppress

from tools.incidents.store import IncidentStore

KEEP_S = 90 * 86_400.0
"""How long incidents that are over are kept unless told otherwise."""

MAX_BYTES = 512 * 1024 * 1024
"""What the incidents may take in the state folder; an incident takes 20 to 200 kB."""

EACH_S = 3600.0
"""Between two looks at what is too old."""


async def prune_now_and_then(incidents: IncidentStore, keep_s: float) -> None:
    """Delete what is too old or too much, now and each hour, until cancelled."""
    while True:
        with suppress(sqlite3.Error):  # the recorder reports a disk that cannot be written
            await asyncio.to_thread(incidents.prune, before=time.time() - keep_s, max_bytes=MAX_BYTES)
        await asyncio.sleep(EACH_S)
