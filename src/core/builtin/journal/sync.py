"""Brings a journal into the database of a home, and what the home alone knows of its runs into the journal."""

from __future__ import annotations

from contextlib import suppress

from core.builtin.journal.batch import publish
from core.builtin.journal.fold import Aside, fold
from core.builtin.journal.layout import RUNS, folder_of, sort, spelled
from core.builtin.journal.leases import LONGEST, JournalClock, JournalLeases
from core.errors import CoreError, CorruptDataError, NotFoundError
from core.model.event import EventKind
from core.model.states import RunState
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.builtin.journal.batch import Batch
    from core.builtin.journal.layout import Listing
    from core.model.event import Event
    from core.ports.artifact_store import ArtifactStore
    from core.ports.tracking_store import Lease, TrackingStore

AT_ONCE = 2000
"""Events in one object, at most."""


class Synced(Value):
    """What a synchronization brought."""

    runs: tuple[str, ...]
    """Ids of the runs of which something is new here."""
    events: int
    """New events."""
    aside: tuple[Aside, ...]
    """Objects that could not be used; they are left where they are."""


class Exchange:
    """A journal in `area` and the database `inner` of this home."""

    def __init__(self, area: ArtifactStore, inner: TrackingStore, clock: JournalClock | None = None) -> None:
        self.uri = area.uri
        """Origin of what comes out of the journal."""
        self.area = area
        self.inner = inner
        self.clock = clock or JournalClock()
        self.leases = JournalLeases(area, self.clock)
        self._known: set[str] | None = None

    def sync(self, run: str | None = None) -> Synced:
        """Fold what is new of all runs, or of one; and take over the leases of runs that have not ended."""
        listing = sort(self.area.names(RUNS if run is None else folder_of(run)))
        synced = self.take(listing)
        self.adopt(listing, run)
        return synced

    def take(self, listing: Listing) -> Synced:
        """Fold the objects of a listing that are not here yet. One that is not up to date tells the rest next time."""
        known = self._seen()
        new = [name for name in listing.batches if name not in known]
        counted = {"events": 0}

        def append(names: list[str], batch: Batch) -> None:
            self.inner.fold(self.uri, names, batch.events, batch.documents)
            counted["events"] += len(batch.events)

        folded = fold(self.area, new, append)
        known.update(folded.names)
        strange = [Aside(name, why) for name, why in listing.strange.items()]
        return Synced(tuple(sorted(folded.runs)), counted["events"], (*folded.aside, *strange))

    def unknown(self) -> list[Event]:
        """Events of the runs that the database does not have; raises `CorruptDataError` for what can't be used."""
        listing, known = sort(self.area.names(RUNS)), {spelled(row.id) for row in self.inner.runs(limit=None)}
        found: list[Event] = []
        names = [name for name in listing.batches if name.split("/")[1] not in known]
        folded = fold(self.area, names, lambda _, batch: found.extend(batch.events))
        unread = [Aside(name, why) for name, why in listing.strange.items() if name.endswith(".json")]
        for name, why in (*folded.aside, *unread):
            raise CorruptDataError(
                f"object {name!r} can't be used: {why}", "look at it, and remove it if nobody needs it"
            )
        return found

    def adopt(self, listing: Listing, run: str | None = None) -> None:
        """Note the leases of runs that have not ended, as the journal has them."""
        states = (RunState.RUNNING, RunState.LOST)
        asked = False
        rows = [row.id for state in states for row in self.inner.runs(state=state, limit=None)]
        for identity in rows if run is None else [run]:
            mark = listing.leases.get(spelled(identity))
            if mark is not None and mark.modified < self.clock() - LONGEST:
                continue  # over for long, whatever it says
            lease = self.leases.read(identity, mark)
            if lease is not None:
                if lease.expires_at and not asked:
                    asked = True
                    with suppress(CoreError):  # who may only read goes by this machine's clock
                        self.leases.ask_time(identity)
                self.inner.adopt(self.here(lease))

    def here(self, lease: Lease) -> Lease:
        """The same lease by the clock of the database."""
        ends = self.inner.now() + lease.expires_at - self.clock() if lease.expires_at else 0.0
        return lease._replace(expires_at=ends)

    def push(self, events: list[Event], documents: Mapping[str, str]) -> None:
        """Write events to the journal that are in the database."""
        for start in range(0, len(events) or 1, AT_ONCE):
            names = publish(self.area, events[start : start + AT_ONCE], documents)
            self.inner.fold(self.uri, names, (), {})
            self._seen().update(names)
            documents = {}

    def catch_up(self, run: str) -> int:
        """Write to the journal what it lacks of a run; gives the number of events."""
        there: set[tuple[str, str, int, str, int]] = set()

        def note(_: list[str], batch: Batch) -> None:
            there.update(event[:5] for event in batch.events)

        fold(self.area, sort(self.area.names(folder_of(run))).batches, note)
        events = self.inner.events(run)
        lacking = [event for event in events if event[:5] not in there]
        if lacking:
            self.push(lacking, self._documents_of(events))
        return len(lacking)

    def _documents_of(self, events: Iterable[Event]) -> dict[str, str]:
        """The documents that a run's events refer to: its graph, the code of its steps."""
        found: dict[str, str] = {}
        for event in events:
            data = event.data
            wanted = [data.get("graph") if event.kind == EventKind.RUN_STARTED else None, data.get("code")]
            fingerprint = data.get("fingerprint")
            wanted += [fingerprint.get("code")] if isinstance(fingerprint, dict) else [fingerprint]
            for digest in wanted:
                if isinstance(digest, str) and digest and digest not in found:
                    try:
                        found[digest] = self.inner.document(digest)
                    except NotFoundError:
                        continue
        return found

    def _seen(self) -> set[str]:
        if self._known is None:
            self._known = self.inner.folded(self.uri)
        return self._known
