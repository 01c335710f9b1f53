"""The index of results: by cache key, by step, by artifact digest. Filled from the events when somebody asks."""

from __future__ import annotations

import json
import time

from core.builtin.sqlite.ended import Ended
from core.builtin.sqlite.rows import artifacts_of, place_of, places_of, unpacked
from core.errors import CoreError
from core.model.event import EventKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from core.builtin.sqlite.connection import Database
    from core.model.event import Event

    Result = tuple[Any, ...]
    """Run, step, attempt, time, kind, project and data of an event."""


KEEP = 500
"""Results that a connection keeps in memory before it writes them to the table."""
FRESH = 1.0
"""Seconds for which a connection that asked does not look again for what other connections appended."""
BULK = 10_000
"""Results that are written to the table at a time."""


class ResultIndex:
    """A table that only repeats what events say. Emptied (`upto` = 0), it fills again.

    Writing it with each event would double the price of an event: its rows are scattered, and SQLite writes whole
    pages. So it reaches up to event `upto`. What comes after it a connection keeps in memory, its own events at once
    and those of others when it looks for them, and writes to the table in bulk: when there is much, and at its close.
    """

    def __init__(self, database: Database, sql: Mapping[str, str]) -> None:
        self._database = database
        self.ended = Ended(f"{database.path}-ended")
        """Tells which keys got a result that is not seen here yet."""
        self._sql = sql
        self._reset(-1)

    def _reset(self, upto: int) -> None:
        self._upto = self._seen = upto
        self._looked = -FRESH
        self._recent: dict[int, list[tuple[Any, ...]]] = {}
        self._nothing: set[int] = set()  # places without a row in the table, as far as this connection looked
        self._count = 0

    def add(self, events: Sequence[Event], places: Sequence[list[int] | None], last: int) -> None:
        """Keep what this connection appended: `last` is the number of the last of `events`, 0 when it is not known."""
        if not last:
            self.stale()  # some were there already: read them like those of others
            return
        for number, (event, found) in enumerate(zip(events, places, strict=True), last - len(events) + 1):
            if found:
                self._keep((event.at, event.run, event.step, event.attempt, number), found)

    def _keep(self, row: tuple[Any, ...], places: list[int]) -> None:
        for place in places:
            self._recent.setdefault(place, []).append(row)
        self._count += 1

    def stale(self) -> None:
        """Look at the newest events before the next answer."""
        self._looked = -FRESH

    def by_key(self, project: str, key: str) -> Result | None:
        """The newest completed attempt with the cache key."""
        if self.ended.since(key):
            self.stale()

        def fits(result: Result) -> bool:
            return result[4:6] == (EventKind.ATTEMPT_COMPLETED, project) and result[6].get("key") == key

        return self._newest(place_of("key", project, key), fits)

    def by_step(self, project: str, pipeline: str, step: str) -> Result | None:
        """The newest attempt of a step that completed or was reused."""

        def fits(result: Result) -> bool:
            return (result[1], result[5], result[6].get("pipeline")) == (step, project, pipeline)

        return self._newest(place_of("step", project, pipeline, step), fits)

    def origins(self, digest: str) -> set[str]:
        """Where the events come from that name the artifact: the URIs of journals, empty for what was recorded here."""
        place = place_of("artifact", digest)
        found: set[str] = set()
        for looked in (self._looked, -FRESH):  # before a no, which refuses a pickle, look at the newest events
            self._looked = looked
            self._catch_up()
            recent = (self._database.read(self._sql["data_of"], row[-1:]) for row in self._recent.get(place, ()))
            table = (self._database.read(self._sql["at_place"], (place, limit)) for limit in (1, -1))
            for text, origin in (row for rows in (*recent, *table) for row in rows):
                data = json.loads(text)
                if digest in artifacts_of(data):
                    found.add(origin or str(data.get("origin", "")))  # what was reused is of where it was made
                    if "" in found:
                        return found
        return found

    def _newest(self, place: int, fits: Callable[[Result], bool]) -> Result | None:
        """The newest of what the table says and of what is in memory, each unless it is outranked."""
        self._catch_up()
        recent = self._recent.get(place, ())
        found = None
        if place not in self._nothing:
            for limit in (1, -1):  # nearly always the first is it: places are seldom shared
                results = self._read("newest", (place, limit))
                found = next(filter(fits, results), None)
                if found or not results:
                    break
            if found is None:
                self._nothing.add(place)
        for row in sorted(recent, reverse=True):
            if found and (found[3], *found[:3]) >= row[:4]:
                break
            for result in self._read("numbered", (row[4], *row[1:4])):
                if fits(result):
                    return result
        return found

    def _read(self, query: str, parameters: tuple[Any, ...]) -> list[Result]:
        rows = self._database.read(self._sql[query], parameters)
        return [(*row[:6], json.loads(row[6]), row[7]) for row in rows]

    def _catch_up(self) -> None:
        """Read what was appended since, by whomever; the own events are here already."""
        now = time.monotonic()
        if now - self._looked < FRESH:
            return
        self.ended.look()
        upto, last = self._database.read(self._sql["unindexed"])[0]
        last = last or 0
        if upto != self._upto or last < self._seen:  # somebody wrote to the table, or deleted events
            self._reset(upto)
        self._looked = now
        if last <= self._seen:
            return
        if last - self._seen > KEEP or self._count > KEEP:
            self.settle()
            self._looked = now
            return
        for row in self._database.read(self._sql["results_since"], (self._seen, -1)):
            number, at, run, step, attempt = row[:5]
            self._keep((at, run, step, attempt, number), _places(row))
        self._seen = last

    def settle(self) -> None:
        """Write what is in memory to the table."""
        with self._database.transaction() as connection:
            self._fill(connection)
            upto, _ = connection.execute(self._sql["unindexed"]).fetchone()
        self._reset(upto)

    def close(self) -> None:
        """Leave the table complete for the next to open the file, when this connection read what it lacks."""
        if self._count:
            try:
                self.settle()
            except CoreError:
                self._reset(-1)  # it only repeats what events say: whoever asks next fills it
        self.ended.close()

    def forget(self, connection: sqlite3.Connection, run: str) -> None:
        """Drop what the index says of `run`; call it before its events go, `shorten` after."""
        self._fill(connection)
        results = connection.execute(self._sql["results_of_run"], (run,)).fetchall()
        connection.executemany(self._sql["drop_place"], _rows(results))

    def shorten(self, connection: sqlite3.Connection) -> None:
        """Go back to the last event: its number may be the next one's again when the last events went."""
        _, last = connection.execute(self._sql["unindexed"]).fetchone()
        connection.execute(self._sql["indexed"], (last or 0,))
        self._reset(-1)

    def _fill(self, connection: sqlite3.Connection) -> None:
        upto, last = connection.execute(self._sql["unindexed"]).fetchone()
        if upto >= (last or 0):
            return
        while results := connection.execute(self._sql["results_since"], (upto, BULK)).fetchall():
            connection.executemany(self._sql["add_place"], _rows(results))
            upto = results[-1][0]
        connection.execute(self._sql["indexed"], (last,))


def _places(row: tuple[Any, ...]) -> list[int]:
    """The places of a result that was read by the queries `results_...`."""
    step, places, text, kind, project = row[3], *row[5:]
    return unpacked(places) if text is None else places_of(kind, project, step, json.loads(text))


def _rows(results: Iterable[tuple[Any, ...]]) -> list[tuple[int, float, int]]:
    """Rows of the table, sorted: neighbours go to one page; one place once, such as that of two equal outputs."""
    return sorted({(place, result[1], result[0]) for result in results for place in _places(result)})
