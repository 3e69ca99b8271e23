"""The store is closed while another thread still uses it: an error there, and no crash."""

import sqlite3
import threading
from pathlib import Path

from tools.incidents.store import IncidentStore


def test_closed_under_a_thread_that_prunes(tmp_path: Path) -> None:
    for n in range(30):
        store = IncidentStore(tmp_path / f"{n}.db")
        begun, ended = threading.Event(), []

        def prune(store: IncidentStore = store, begun: threading.Event = begun) -> None:
            try:
                while True:
                    store.prune(before=0.0, max_bytes=1 << 30)
                    begun.set()
            except sqlite3.ProgrammingError as error:
                ended.append(str(error))  # noqa: B023

        thread = threading.Thread(target=prune)
        thread.start()
        begun.wait(60)
        store.close()
        thread.join(10)

        assert ended == ["Cannot operate on a closed database."]
