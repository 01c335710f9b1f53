"""The index of results: by cache key, by step, by artifact digest. Filled from the events when somebody asks."""

from __future__ import annotations

import json
import time

from core.builtin.sqlite.ended import Ended
from core.builtin.sqlite.rows import RESULTS, artifacts_of, event_of
from core.errors import CoreError
from core.model.event import EventKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.builtin.sqlite.connection import Database
    from core.model.event import Event

    Rows = list[tuple[Any, ...]]


KEEP = 500
"""Results that a connection keeps in memory before it writes them to the tables."""
FRESH = 1.0
"""Seconds for which a connection that asked does not look again for what other connections appended."""


class ResultIndex:
    """Three tables that only repeat what events say. Emptied (`upto` = 0), they fill again.

    Writing them with each event would double the price of an event: their places are scattered, and SQLite writes whole
    pages. So they reach up to event `upto`. What comes after it a connection keeps in memory, its own events at once
    and those of others when it looks for them, and writes to the tables in bulk: when there is much, and at its close.
    """

    def __init__(self, database: Database, sql: Mapping[str, str]) -> None:
        self._database = database
        self.ended = Ended(f"{database.path}-ended")
        """Tells which keys got a result that is not seen here yet."""
        self._sql = sql
        self._upto = -1
        self._looked = 0.0
        self._reset(-1)

    def _reset(self, upto: int) -> None:
        self._upto = self._seen = upto
        self._looked = -FRESH
        self._keys: dict[tuple[str, str], Rows] = {}
        self._steps: dict[tuple[str, str, str], Rows] = {}
        self._digests: set[str] = set()
        self._count = 0

    def add(self, events: Sequence[Event], last: int) -> None:
        """Keep what this connection appended: `last` is the number of the last of `events`, 0 when it is not known."""
        if not last:
            self._looked = -FRESH  # some were there already: read them like those of others
            return
        for number, event in enumerate(events, last - len(events) + 1):
            if event.kind in RESULTS:
                self._keep(number, event)

    def _keep(self, number: int, event: Event) -> None:
        data, project = event.data, event.project
        row = (event.at, event.run, event.step, event.attempt, number)
        key, pipeline = data.get("key"), data.get("pipeline")
        if event.kind == EventKind.ATTEMPT_COMPLETED and isinstance(key, str) and key:
            self._keys.setdefault((project, key), []).append(row)
        if isinstance(pipeline, str) and pipeline:
            self._steps.setdefault((project, pipeline, event.step), []).append(row)
        self._digests.update(artifacts_of(data))
        self._count += 1

    def stale(self) -> None:
        """Look at the newest events before the next answer."""
        self._looked = -FRESH

    def by_key(self, project: str, key: str) -> tuple[Any, ...] | None:
        """Run, step, attempt, time and data of the newest completed attempt with the cache key."""
        if self.ended.since(key):
            self.stale()
        self._catch_up()
        return self._newest(self._keys.get((project, key), ()), self._sql["cached"], (project, key))

    def by_step(self, project: str, pipeline: str, step: str) -> tuple[Any, ...] | None:
        """The same of the newest attempt of a step that completed or was reused."""
        self._catch_up()
        recent = self._steps.get((project, pipeline, step), ())
        return self._newest(recent, self._sql["latest"], (project, pipeline, step))

    def has(self, digest: str) -> bool:
        """Whether an event names the artifact."""
        for looked in (self._looked, -FRESH):  # before a no, which refuses a pickle, look at the newest events
            self._looked = looked
            self._catch_up()
            if digest in self._digests or self._database.read(self._sql["recorded"], (digest,)):
                return True
        return False

    def _newest(self, recent: Sequence[tuple[Any, ...]], sql: str, where: tuple[str, ...]) -> tuple[Any, ...] | None:
        """The newest of what the tables say and of what is in memory, each unless it is outranked."""
        found = self._database.read(sql, where)
        for at, run, step, attempt, number in sorted(recent, reverse=True):
            if found and (found[0][3], *found[0][:3]) >= (at, run, step, attempt):
                break
            newer = self._database.read(self._sql["completed"], (number, run, step, attempt))
            if newer:
                return newer[0]  # type: ignore[no-any-return] # a row
        return found[0] if found else None

    def _catch_up(self) -> None:
        """Read what was appended since, by whomever; the own events are here already."""
        now = time.monotonic()
        if now - self._looked < FRESH:
            return
        self.ended.look()
        upto, last = self._database.read(self._sql["unindexed"])[0]
        last = last or 0
        if upto != self._upto or last < self._seen:  # somebody wrote to the tables, or deleted events
            self._reset(upto)
        self._looked = now
        if last <= self._seen:
            return
        if last - self._seen > KEEP or self._count > KEEP:
            self.settle()
            self._looked = now
            return
        for number, *row in self._database.read(self._sql["tail"], (self._seen,)):
            self._keep(number, event_of(tuple(row)))
        self._seen = last

    def settle(self) -> None:
        """Write what is in memory to the tables."""
        with self._database.transaction() as connection:
            self._fill(connection)
            upto, _ = connection.execute(self._sql["unindexed"]).fetchone()
        self._reset(upto)

    def close(self) -> None:
        """Leave the tables complete for the next to open the file, when this connection read what they lack."""
        if self._count:
            try:
                self.settle()
            except CoreError:
                self._reset(-1)  # they only repeat what events say: whoever asks next fills them

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
        self._reset(-1)

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
