"""Catalog in SQLite: entries by project, kind and name, changed by compare-and-swap."""

from __future__ import annotations

import json
import time

from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.queries import load_queries
from core.errors import ConflictError, NotFoundError
from core.ports.catalog import Catalog, Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable
    from typing import Any


class SqliteCatalog(Catalog):
    """Keeps entries in the SQLite file at a path, or in an open `Database` that a tracking store shares."""

    def __init__(self, path: str | os.PathLike[str] | Database, clock: Callable[[], float] = time.time) -> None:
        self._own = not isinstance(path, Database)
        self.database = path if isinstance(path, Database) else Database(path)
        """The connection; a `SqliteTrackingStore` may be given it."""
        self._clock = clock
        self._sql = load_queries("catalog.sql")

    def get(self, kind: str, name: str, project: str = "default") -> Entry:
        """See the port."""
        for row in self.database.read(self._sql["get"], (project, kind, name)):
            return _entry(row)
        names = self.database.read(self._sql["names"], (project, kind))
        raise not_found(kind, name, [other for (other,) in names])

    def list(self, kind: str, project: str = "default") -> list[Entry]:
        """See the port."""
        return [_entry(row) for row in self.database.read(self._sql["list"], (project, kind))]

    def put(self, entry: Entry) -> Entry:
        """See the port."""
        with self.database.transaction() as connection:
            there = self._revision(connection, entry.kind, entry.name, entry.project)
            check_revision(entry.kind, entry.name, there, entry.revision)
            written = entry._replace(revision=there + 1, changed_at=self._clock())
            data = json.dumps(dict(entry.data), separators=(",", ":"))
            connection.execute(self._sql["put"], written._replace(data=data))  # type: ignore[arg-type] # the row's text
        return written

    def delete(self, kind: str, name: str, revision: int, project: str = "default") -> None:
        """See the port."""
        with self.database.transaction() as connection:
            there = self._revision(connection, kind, name, project)
            if not there:
                names = connection.execute(self._sql["names"], (project, kind)).fetchall()
                raise not_found(kind, name, [other for (other,) in names])
            check_revision(kind, name, there, revision)
            connection.execute(self._sql["delete"], (project, kind, name))

    def sealed(self) -> bool:
        """Whether any project keeps something that was encrypted."""
        return bool(self.database.read(self._sql["sealed"], ()))

    def close(self) -> None:
        """See the port."""
        if self._own:
            self.database.close()

    def _revision(self, connection: sqlite3.Connection, kind: str, name: str, project: str) -> int:
        """Revision that is there now, 0 for none."""
        row = connection.execute(self._sql["get"], (project, kind, name)).fetchone()
        return int(row[2]) if row else 0


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry._make((*row[:3], json.loads(row[3]), *row[4:]))


def check_revision(kind: str, name: str, there: int, read: int) -> None:
    """Raise `ConflictError` unless the revision that is there is the one that was read."""
    if there != read:
        what = f"is at revision {there}" if there else "does not exist"
        wanted = f"revision {read} was expected" if read else "it was to be created"
        hint = "someone else changed it: read it again and repeat your change"
        raise ConflictError(f"{kind.replace('_', ' ')} {name!r} {what}, {wanted}", hint)


def not_found(kind: str, name: str, names: list[str]) -> NotFoundError:
    """The error for an entry that is not there, its hint naming the closest names."""
    from difflib import get_close_matches  # start-up time: only an error needs it

    said = kind.replace("_", " ")
    close = get_close_matches(name, names, 3, 0.5)
    if close:
        hint = f"did you mean {' or '.join(map(repr, close))}?"
    elif names:
        hint = f"there are {', '.join(map(repr, sorted(names)[:5]))}{', ...' if len(names) > 5 else ''}"
    else:
        hint = f"no {said} is registered yet"
    return NotFoundError(f"there is no {said} {name!r}", hint)
