"""The index of results: by cache key, by step, by artifact digest. Filled from the events when somebody asks."""

from __future__ import annotations

import json

from core.builtin.sqlite.rows import artifacts_of
from core.model.event import EventKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from typing import Any

    from core.builtin.sqlite.connection import Database

    Rows = list[tuple[Any, ...]]


class ResultIndex:
    """Three tables that only repeat what events say. Emptied (`upto` = 0), they fill again.

    Writing them with each event would double the price of an event: their places are scattered, and SQLite writes whole
    pages. In bulk, before a question, it costs a fraction.
    """

    def __init__(self, database: Database, sql: Mapping[str, str]) -> None:
        self._database = database
        self._sql = sql

    def catch_up(self) -> None:
        """Index the events that are not yet."""
        if self._behind(self._database.read(self._sql["unindexed"])[0]):
            with self._database.transaction() as connection:
                self._fill(connection)

    def forget(self, connection: sqlite3.Connection, run: str) -> None:
        """Drop what the index says of `run`; call it before its events go, `shorten` after."""
        self._fill(connection)
        keys, steps, artifacts = _index_rows(connection.execute(self._sql["results_of_run"], (run,)).fetchall())
        connection.executemany(self._sql["drop_key"], keys)
        connection.executemany(self._sql["drop_step"], steps)
        connection.executemany(self._sql["drop_artifact"], artifacts)

    def shorten(self, connection: sqlite3.Connection) -> None:
        """Go back to the last event: its number may be the next one's again when the last events went."""
        _, last = connection.execute(self._sql["unindexed"]).fetchone()
        connection.execute(self._sql["indexed"], (last or 0,))

    def _behind(self, row: tuple[int, int | None]) -> bool:
        upto, last = row
        return upto < (last or 0)

    def _fill(self, connection: sqlite3.Connection) -> None:
        row = connection.execute(self._sql["unindexed"]).fetchone()
        if not self._behind(row):
            return
        upto, last = row
        while results := connection.execute(self._sql["results_since"], (upto,)).fetchall():
            keys, steps, artifacts = _index_rows(results)
            connection.executemany(self._sql["add_key"], keys)
            connection.executemany(self._sql["add_step"], steps)
            connection.executemany(self._sql["add_artifact"], artifacts)
            upto = results[-1][0]
        connection.execute(self._sql["indexed"], (last,))


def _index_rows(results: Rows) -> tuple[Rows, Rows, Rows]:
    """Rows for the three tables, sorted: neighbours go to one page."""
    keys: Rows = []
    steps: Rows = []
    artifacts: Rows = []
    for number, run, step, attempt, project, at, kind, text in results:
        data = json.loads(text)
        key, pipeline = data.get("key"), data.get("pipeline")
        if kind == EventKind.ATTEMPT_COMPLETED and isinstance(key, str) and key:
            keys.append((project, key, at, run, step, attempt, number))
        if isinstance(pipeline, str) and pipeline:
            steps.append((project, pipeline, step, at, run, attempt, number))
        artifacts.extend((digest, run) for digest in artifacts_of(data))
    return sorted(keys), sorted(steps), sorted(artifacts)
