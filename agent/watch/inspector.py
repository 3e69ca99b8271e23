"""Looking into the nodes of a watched cluster: a filter, a chosen node, and all that is known of it."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from agent.events import Focused
from agent.view.base import View
from agent.view.watch_table import in_order
from agent.watch.keys import Focus, keys
from agent.watch.node import NodeReport, node_report
from agent.watch.rows import Rows
from subjects.base import Cluster
from subjects.errors import SubjectError
from tools.errors import ToolError
from tools.incidents.store import IncidentStore


class Inspector:
    """What the person looks at, and the drawing of it."""

    def __init__(self, cluster: Cluster, incidents: IncidentStore, view: View, rows: Rows) -> None:
        self._cluster = cluster
        self._incidents = incidents
        self._view = view
        self._rows = rows
        self._focus = Focus()
        self._report: NodeReport | None = None
        self._opening: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Read keys while the block runs."""
        with keys(self._focus, self._changed):
            self._draw()
            try:
                yield
            finally:
                if self._opening is not None:
                    self._opening.cancel()

    async def look(self) -> None:
        """Read the chosen node again if it is looked into."""
        node = self._chosen()
        if not self._focus.open or node is None:
            self._report = None
            self._draw()
            return
        try:
            self._report = await node_report(self._cluster, node, self._incidents)
        except (SubjectError, ToolError, sqlite3.Error):  # it may have left since
            self._report = None
        self._draw()

    def _changed(self) -> None:
        self._report = None
        self._draw()
        if self._focus.open:
            self._opening = asyncio.create_task(self.look())

    def _chosen(self) -> str | None:
        shown = in_order(self._rows.latest, self._focus.filter)
        if not shown:
            return None
        self._focus.row = min(self._focus.row, len(shown) - 1)
        return shown[self._focus.row].name

    def _draw(self) -> None:
        detail = tuple(self._report.drawn()) if self._report is not None and self._focus.open else ()
        self._view.show(Focused(self._focus.filter, self._focus.typing, self._chosen(), detail))
