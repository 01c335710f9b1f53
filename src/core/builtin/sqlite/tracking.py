"""Tracking store in SQLite: events are the rows, everything else is looked up in them or indexed beside them."""

from __future__ import annotations

import json
from operator import itemgetter

from core.builtin.sqlite.clock import StoreClock
from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.leases import Leases
from core.builtin.sqlite.queries import load_queries
from core.builtin.sqlite.results import ResultIndex
from core.builtin.sqlite.rows import (
    OF_RUN,
    RESULTS,
    cached_of,
    event_of,
    packed,
    places_of,
    row_of,
    run_row,
    same_content,
)
from core.errors import EventConflictError, NotFoundError
from core.model.event import TERMINAL
from core.ports.tracking_store import LatestAttempt, RunRow, TrackingStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from core.model.event import Event
    from core.model.plan import CachedResult
    from core.ports.tracking_store import Lease


_BY_WRITER = itemgetter(3, 4, 1, 2)
"""Writer, seq, then step and attempt, of a row of `events`."""


class SqliteTrackingStore(TrackingStore):
    """Keeps events in the SQLite file at a path, or in an open `Database` that a catalog shares."""

    def __init__(self, path: str | os.PathLike[str] | Database, clock: Callable[[], float] | None = None) -> None:
        self._own = not isinstance(path, Database)
        self.database = path if isinstance(path, Database) else Database(path)
        """The connection; a `SqliteCatalog` may be given it."""
        self.uri = f"sqlite:///{self.database.path.lstrip('/')}"
        self._sql = load_queries("tracking.sql", of_run=OF_RUN, results=RESULTS, terminal=TERMINAL)
        self._clock = clock or StoreClock(self.database, self._sql)
        self._results = ResultIndex(self.database, self._sql)
        self._leases = Leases(self.database, self._sql, self._clock)
        self.trusted = {""}

    def append(
        self, events: Sequence[Event], fence: Lease | None = None, documents: Mapping[str, str] | None = None
    ) -> None:
        """See the port. The run's row is written in the same transaction; results are indexed when somebody asks."""
        self._append(events, fence, documents or {})

    def fold(self, journal: str, objects: Sequence[str], events: Sequence[Event], documents: Mapping[str, str]) -> None:
        """See the port."""
        self._append(events, None, documents, journal, objects)

    def folded(self, journal: str) -> set[str]:
        """See the port."""
        return {name for (name,) in self.database.read(self._sql["folded"], (journal,))}

    def _append(
        self,
        events: Sequence[Event],
        fence: Lease | None,
        documents: Mapping[str, str],
        journal: str = "",
        objects: Sequence[str] = (),
    ) -> None:
        rows = [row_of(event) for event in events]
        places = [
            places_of(event[5], event[9], event[1], event[8]) if event[5] in RESULTS else None for event in events
        ]
        sql = self._sql
        with self.database.transaction() as connection:
            if fence is not None:
                self._leases.check(connection, fence)
            if documents:
                connection.executemany(sql["append_document"], documents.items())
            last = 0
            written = [(*row, packed(found) if found else None) for row, found in zip(rows, places, strict=True)]
            if journal:
                connection.executemany(sql["fold_object"], [(journal, name) for name in objects])
                written = [(*row, journal) for row in written]
            if connection.executemany(sql["fold_event" if journal else "append_event"], written).rowcount != len(rows):
                self._check_content(connection, rows)
            else:
                last = connection.execute(sql["last_number"]).fetchone()[0]
            for event in events:
                if event.kind in OF_RUN:
                    self._index_run(connection, event.run)
        self._results.add(events, places, last)

    def _check_content(self, connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
        """Raise `EventConflictError` unless every row stands in the store as it is."""
        for row in rows:
            stored = connection.execute(self._sql["same_key"], row[:5]).fetchone()
            if not same_content(stored, row):
                raise EventConflictError(
                    f"event {row[:5]!r} (run, step, attempt, writer, seq) stands in {self.uri!r} with other content",
                    "nothing was appended; two writers use one name, or a journal was changed: keep both for a look",
                )

    def _index_run(self, connection: sqlite3.Connection, run: str) -> None:
        """Make the run's row anew from its own events: the same whatever order they came in."""
        row = run_row([event_of(row) for row in connection.execute(self._sql["events_of_the_run_itself"], (run,))])
        if row is not None:
            connection.execute(self._sql["put_run"], row)

    def events(self, run: str, step: str | None = None) -> list[Event]:
        """See the port."""
        if step is None:
            rows = self.database.read(self._sql["events_of_run"], (run,))
        else:
            rows = self.database.read(self._sql["events_of_step"], (run, step))
        rows.sort(key=_BY_WRITER)  # almost in order already: cheaper here than in SQL
        return [event_of(row) for row in rows]

    def document(self, digest: str) -> str:
        """See the port."""
        for (content,) in self.database.read(self._sql["document"], (digest,)):
            return str(content)
        raise NotFoundError(f"no document {digest!r} in {self.uri!r}", "was the run recorded in another store?")

    def runs(
        self,
        project: str | None = None,
        *,
        limit: int | None = 50,
        before: str | None = None,
        pipeline: str | None = None,
        state: str | None = None,
    ) -> list[RunRow]:
        """See the port. A run whose start is not recorded (yet) is left out."""
        where = {"runs.project = ?": project, "runs.pipeline = ?": pipeline, "runs.id < ?": before}
        if state in ("running", "lost"):
            where["runs.state = 'running' AND leases.name IS " + ("NULL" if state == "lost" else "NOT NULL")] = None
            conditions = [text for text, value in where.items() if value is not None or "?" not in text]
        else:
            where["runs.state = ?"] = state
            conditions = [text for text, value in where.items() if value is not None]
        sql = self._sql["list_runs"].replace("{where}", " AND ".join(conditions) or "1 = 1")
        values = [value for value in where.values() if value is not None]
        rows = self.database.read(sql, (self.now(), *values, -1 if limit is None else limit))
        return [RunRow(*row) for row in rows]

    def find_run(self, prefix: str, project: str | None = None) -> list[str]:
        """See the port."""
        return [run for (run,) in self.database.read(self._sql["find_run"], (prefix,) * 4 + (project,) * 2)]

    def delete_run(self, run: str) -> None:
        """See the port. The lease stays, so that a silent writer can't come back; so do documents: they are shared."""
        with self.database.transaction() as connection:
            if connection.execute(self._sql["events_of_run"], (run,)).fetchone() is None:
                raise NotFoundError(f"no run {run!r} in {self.uri!r}", "`core runs list` tells which there are")
            self._results.forget(connection, run)
            connection.execute(self._sql["delete_events"], (run,))
            connection.execute(self._sql["delete_run"], (run,))
            self._results.shorten(connection)

    def cached(self, keys: Iterable[str], project: str = "default", *, fresh: bool = False) -> dict[str, CachedResult]:
        """See the port."""
        if fresh:
            self._results.stale()
        found = {key: self._results.by_key(project, key) for key in dict.fromkeys(keys)}
        return {key: cached_of(result) for key, result in found.items() if result is not None}

    def latest(self, pipeline: str, step: str, project: str = "default") -> LatestAttempt | None:
        """See the port. A step that was reused counts as done by the run that reused it."""
        result = self._results.by_step(project, pipeline, step)
        if result is None:
            return None
        fingerprint = result[6].get("fingerprint") or {}
        if isinstance(fingerprint, str):  # the digest of a document
            texts = self.database.read(self._sql["document"], (fingerprint,))
            fingerprint = json.loads(texts[0][0]) if texts else {}
        return LatestAttempt(result[0], fingerprint)

    def recorded(self, digest: str) -> bool:
        """See the port."""
        return not self.trusted.isdisjoint(self._results.origins(digest))

    def origins(self, digest: str) -> set[str]:
        """See the port."""
        return self._results.origins(digest)

    def acquire(self, name: str, owner: str, seconds: float, epoch: int = 0) -> Lease:
        """See the port."""
        return self._leases.acquire(name, owner, seconds, epoch)

    def adopt(self, lease: Lease) -> None:
        """See the port."""
        self._leases.adopt(lease)

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """See the port."""
        return self._leases.renew(lease, seconds)

    def release(self, lease: Lease) -> None:
        """See the port."""
        self._leases.release(lease)

    def lease(self, name: str) -> Lease | None:
        """See the port."""
        return self._leases.lease(name)

    def claim(self, name: str, owner: str) -> bool:
        """See the port."""
        return self._leases.claim(name, owner)

    def unclaim(self, name: str, owner: str) -> None:
        """See the port."""
        if name.startswith("key:"):
            self._results.ended.note(name.removeprefix("key:"))
        self._leases.unclaim(name, owner)

    def now(self) -> float:
        """See the port."""
        return self._clock()

    def close(self) -> None:
        """See the port."""
        self._results.close()
        self._results.ended.close()
        self._leases.close()
        if self._own:
            self.database.close()
