"""Tracking store in SQLite: events are the rows, everything else is looked up in them or indexed beside them."""

from __future__ import annotations

import json
import time
from operator import itemgetter

from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.queries import load_queries
from core.builtin.sqlite.results import ResultIndex
from core.builtin.sqlite.rows import cached_of, event_of, row_of, run_row, same_content
from core.errors import ConflictError, EventConflictError, LeaseLostError, NotFoundError
from core.model.event import EventKind
from core.ports.tracking_store import LatestAttempt, Lease, RunRow, TrackingStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from core.model.event import Event
    from core.model.plan import CachedResult


_BY_WRITER = itemgetter(3, 4, 1, 2)
"""Writer, seq, then step and attempt, of a row of `events`."""


class SqliteTrackingStore(TrackingStore):
    """Keeps events in the SQLite file at a path, or in an open `Database` that a catalog shares."""

    def __init__(self, path: str | os.PathLike[str] | Database, clock: Callable[[], float] = time.time) -> None:
        self._own = not isinstance(path, Database)
        self.database = path if isinstance(path, Database) else Database(path)
        """The connection; a `SqliteCatalog` may be given it."""
        self.uri = f"sqlite:///{self.database.path.lstrip('/')}"
        self._clock = clock
        self._sql = load_queries("tracking.sql")
        self._results = ResultIndex(self.database, self._sql)
        self._claims: dict[str, str] = {}

    def append(
        self, events: Sequence[Event], fence: Lease | None = None, documents: Mapping[str, str] | None = None
    ) -> None:
        """See the port. The run's row is written in the same transaction; results are indexed when somebody asks."""
        rows = [row_of(event) for event in events]
        sql = self._sql
        with self.database.transaction() as connection:
            if fence is not None:
                self._check_fence(connection, fence)
            if documents:
                connection.executemany(sql["append_document"], documents.items())
            last = 0
            if connection.executemany(sql["append_event"], rows).rowcount != len(rows):
                self._check_content(connection, rows)
            else:
                last = connection.execute(sql["last_number"]).fetchone()[0]
            for event in events:
                if event.kind in (EventKind.RUN_STARTED, EventKind.RUN_ENDED):
                    self._index_run(connection, event.run)
        self._results.add(events, last)

    def _check_fence(self, connection: sqlite3.Connection, fence: Lease) -> None:
        held = connection.execute(self._sql["lease"], (fence.name,)).fetchone()
        if held is not None and held[2] > fence.epoch:
            raise _lost(fence, Lease(*held))

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

    def cached(self, keys: Iterable[str], project: str = "default") -> dict[str, CachedResult]:
        """See the port."""
        rows = {key: self._results.by_key(project, key) for key in dict.fromkeys(keys)}
        return {key: cached_of(row) for key, row in rows.items() if row is not None}

    def latest(self, pipeline: str, step: str, project: str = "default") -> LatestAttempt | None:
        """See the port. A step that was reused counts as done by the run that reused it."""
        row = self._results.by_step(project, pipeline, step)
        if row is None:
            return None
        fingerprint = json.loads(row[4]).get("fingerprint") or {}
        if isinstance(fingerprint, str):  # the digest of a document
            texts = self.database.read(self._sql["document"], (fingerprint,))
            fingerprint = json.loads(texts[0][0]) if texts else {}
        return LatestAttempt(row[0], fingerprint)

    def recorded(self, digest: str) -> bool:
        """See the port."""
        return self._results.has(digest)

    def acquire(self, name: str, owner: str, seconds: float) -> Lease:
        """See the port."""
        with self.database.transaction() as connection:
            row = connection.execute(self._sql["lease"], (name,)).fetchone()
            now = self.now()
            epoch = 1
            if row is not None:
                held = Lease(*row)
                if held.owner != owner and held.expires_at > now:
                    raise ConflictError(
                        f"{name!r} is held by {held.owner!r} for another {held.expires_at - now:.0f} s",
                        "wait until its owner ends or falls silent",
                    )
                epoch = held.epoch + (held.owner != owner)
            lease = Lease(name, owner, epoch, now + seconds)
            connection.execute(self._sql["put_lease"], lease)
        return lease

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """See the port. A lease that was released is lost, too."""
        with self.database.transaction() as connection:
            row = connection.execute(self._sql["lease"], (lease.name,)).fetchone()
            if row is None or row[2] != lease.epoch or row[3] == 0:
                raise _lost(lease, Lease(*row) if row else None)
            renewed = lease._replace(expires_at=self.now() + seconds)
            connection.execute(self._sql["put_lease"], renewed)
        return renewed

    def release(self, lease: Lease) -> None:
        """See the port. The row stays, expired for ever, so that the next epoch is a newer one."""
        with self.database.transaction() as connection:
            row = connection.execute(self._sql["lease"], (lease.name,)).fetchone()
            if row is not None and row[2] == lease.epoch:
                connection.execute(self._sql["put_lease"], (*row[:3], 0.0))

    def lease(self, name: str) -> Lease | None:
        """See the port."""
        for row in self.database.read(self._sql["lease"], (name,)):
            return Lease(*row)
        return None

    def claim(self, name: str, owner: str) -> bool:
        """See the port."""
        return self._claims.setdefault(name, owner) == owner

    def unclaim(self, name: str, owner: str) -> None:
        """See the port."""
        if self._claims.get(name) == owner:
            del self._claims[name]

    def now(self) -> float:
        """See the port."""
        return self._clock()

    def close(self) -> None:
        """See the port."""
        self._results.close()
        if self._own:
            self.database.close()


def _lost(lease: Lease, newer: Lease | None) -> LeaseLostError:
    whose = f"{newer.owner!r} holds epoch {newer.epoch} by now" if newer else "nobody holds it any more"
    return LeaseLostError(
        f"{lease.owner!r} lost its lease on {lease.name!r} (epoch {lease.epoch}): {whose}",
        "nothing was written; another process goes on with the run, so this one must stop",
    )
