"""Tracking store whose truth is a journal in an artifact store; what it asks often is answered from a folded index."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time

from core.builtin.journal.batch import publish
from core.builtin.journal.fold import fold
from core.builtin.journal.layout import CLAIMS, LEASE, RUNS, folder_of, lease_folder, sort, spelled
from core.builtin.journal.leases import JournalClock, JournalLeases
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.errors import NotFoundError
from core.model.states import RunState
from core.ports.tracking_store import TrackingStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.builtin.journal.batch import Batch
    from core.builtin.journal.fold import Aside
    from core.builtin.journal.layout import LeaseMark, Listing
    from core.model.event import Event
    from core.model.plan import CachedResult
    from core.ports.artifact_store import ArtifactStore
    from core.ports.tracking_store import LatestAttempt, Lease, RunRow

FRESH = 1.0
"""Seconds for which a whole listing of the journal is not asked for again, where the port allows it."""
CLAIMED = 900.0
"""Seconds after which a claim that was not given up is anybody's."""


class JournalTrackingStore(TrackingStore):
    """Keeps runs in the artifact store `area`, beside the blobs.

    A call of `append` becomes one object for each run that it has events of: all or nothing for each. What others wrote
    is listed when it is asked for, and each object is read once. The index is a database in a temporary folder.
    """

    def __init__(self, area: ArtifactStore, clock: JournalClock | None = None) -> None:
        self.uri = f"{area.uri}/{RUNS}"
        self.trusted = {"", area.uri} if area.trusted else {""}
        self.aside: list[Aside] = []
        """Objects that could not be used, newest last."""
        self.known = ""
        """Writer whose events the caller has: they are left unread."""
        self._area = area
        self._clock = clock or JournalClock()
        self._leases = JournalLeases(area, self._clock)
        self._opened: SqliteTrackingStore | None = None
        self._folder = ""
        self._seen: set[str] = set()
        self._written: set[str] = set()
        self._own: dict[tuple[str, str], int] = {}  # by run and writer: the last seq, where all were written here
        self._marks: dict[str, LeaseMark] = {}
        self._looked = float("-inf")
        self._lock = threading.RLock()

    @property
    def _index(self) -> SqliteTrackingStore:
        """What is folded so far. Who only writes never needs it."""
        if self._opened is None:
            self._folder = tempfile.mkdtemp(prefix="core-journal-")
            self._opened = SqliteTrackingStore(os.path.join(self._folder, "index.db"), self._clock)
            self._opened.trusted = self.trusted
        return self._opened

    # events

    def append(
        self, events: Sequence[Event], fence: Lease | None = None, documents: Mapping[str, str] | None = None
    ) -> None:
        """See the port: one listing where there is a fence, one for each new writer, and one write for each run."""
        documents = documents or {}
        with self._lock:
            if fence is not None:
                self._leases.check(fence)
            new = not self._repeated(events)
            if not new:
                events = self._checked(events, documents)
            places = {(event.run, event.writer): event.seq for event in sorted(events, key=lambda event: event.seq)}
            names: list[str] = []
            try:
                publish(self._area, events, documents, names)
            except BaseException:
                for run in {event.run for event in events}:
                    self._forget(run)
                raise
            finally:
                self._written.update(names)
            self._own.update(places)
            if self._opened is not None:
                if new:
                    self._index.append(events, None, documents)
                self._seen.update(names)

    def _repeated(self, events: Sequence[Event]) -> bool:
        """Whether one of them may stand twice among them, or stand in the journal already."""
        if len({event[:5] for event in events}) < len(events):
            return True
        for place in {(event.run, event.writer) for event in events} - self._own.keys():
            folder = f"{folder_of(place[0])}/{spelled(place[1])}"
            if next(iter(self._area.names(folder)), None) is not None:
                return True
        return any(event.seq <= self._own.get((event.run, event.writer), -1) for event in events)

    def _checked(self, events: Sequence[Event], documents: Mapping[str, str]) -> list[Event]:
        """Those that the journal does not have; raises `EventConflictError`."""
        known: set[tuple[str, str, int, str, int]] = set()
        for run in {event.run for event in events}:
            self._refresh(run)
            known.update(event[:5] for event in self._index.events(run))
        self._index.append(events, None, documents)
        return list({event[:5]: event for event in events if event[:5] not in known}.values())

    def events(self, run: str, step: str | None = None) -> list[Event]:
        """See the port: one listing, and what is new."""
        with self._lock:
            self._refresh(run)
            return self._index.events(run, step)

    def news(self, run: str) -> list[Event]:
        """Events of `run` that others wrote and this object has not read before: one listing, cheap to ask often."""
        with self._lock:
            listing = sort(self._area.names(folder_of(run)))
            found: list[Event] = []
            self._take(listing, found)
            return found

    def document(self, digest: str) -> str:
        """See the port."""
        with self._lock:
            try:
                return self._index.document(digest)
            except NotFoundError:
                self._refresh_all(fresh=True)
                return self._index.document(digest)

    # runs

    def runs(
        self,
        project: str | None = None,
        *,
        limit: int | None = 50,
        before: str | None = None,
        pipeline: str | None = None,
        state: str | None = None,
    ) -> list[RunRow]:
        """See the port: one listing of the whole journal, what is new, and the leases of runs that have not ended."""
        with self._lock:
            self._adopt(self._refresh_all(fresh=True))
            return self._index.runs(project, limit=limit, before=before, pipeline=pipeline, state=state)

    def _adopt(self, listing: Listing) -> None:
        """Let the index know the leases of runs that have not ended; only what changed is read."""
        open_states = (RunState.RUNNING, RunState.LOST)
        held = ""
        for row in [row for state in open_states for row in self._index.runs(state=state, limit=None)]:
            mark = listing.leases.get(spelled(row.id))
            if mark is not None and not mark.over:
                held = row.id
            if mark is None or self._marks.get(row.id) == mark:
                continue
            lease = self._leases.read(row.id, mark)
            if lease is not None:
                self._index.adopt(lease)
                self._marks[row.id] = mark
        if held:
            self._leases.ask_time(held)

    def find_run(self, prefix: str, project: str | None = None) -> list[str]:
        """See the port."""
        with self._lock:
            self._refresh_all(fresh=True)
            return self._index.find_run(prefix, project)

    def delete_run(self, run: str) -> None:
        """See the port. Who has folded the run into a database keeps it there; its lease stays."""
        with self._lock:
            self._refresh(run)
            self._index.delete_run(run)
            for each in list(self._area.names(folder_of(run))):
                if each.name.split("/")[2] != LEASE:
                    self._area.remove(each.name)
            self._forget(run)

    # results

    def cached(self, keys: Iterable[str], project: str = "default", *, fresh: bool = False) -> dict[str, CachedResult]:
        """See the port."""
        with self._lock:
            self._refresh_all(fresh=fresh)
            return self._index.cached(keys, project, fresh=True)

    def latest(self, pipeline: str, step: str, project: str = "default") -> LatestAttempt | None:
        """See the port."""
        with self._lock:
            self._refresh_all()
            return self._index.latest(pipeline, step, project)

    def recorded(self, digest: str) -> bool:
        """See the port: what others wrote counts where the artifact store is trusted."""
        return not self.trusted.isdisjoint(self.origins(digest))

    def origins(self, digest: str) -> set[str]:
        """See the port."""
        with self._lock:
            found = self._opened.origins(digest) if self._opened is not None else set()
            if "" not in found:
                self._refresh_all(fresh=True)
                found = self._index.origins(digest)
            return found

    # leases and claims

    def acquire(self, name: str, owner: str, seconds: float, epoch: int = 0) -> Lease:
        """See the port."""
        return self._leases.acquire(name, owner, seconds, epoch)

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """See the port."""
        return self._leases.renew(lease, seconds)

    def release(self, lease: Lease) -> None:
        """See the port."""
        self._leases.release(lease)

    def lease(self, name: str) -> Lease | None:
        """See the port."""
        lease = self._leases.lease(name)
        if lease is not None and lease.expires_at:
            self._leases.ask_time(name)  # whether it has run out is judged by `now`
        return lease

    def drop(self, name: str) -> None:
        """Remove what is left of a lease that nobody will take again: an attempt's, when it is over."""
        for each in list(self._area.names(lease_folder(name))):
            self._area.remove(each.name)

    def claim(self, name: str, owner: str) -> bool:
        """See the port: a write; whether an owner is dead is not known here, its claim runs out after `CLAIMED`."""
        place, data = f"{CLAIMS}/{spelled(name)}", owner.encode("utf-8", "surrogatepass")
        if self._area.write(place, data, new=True):
            return True
        try:
            if self._area.read(place) == data:
                return True
        except NotFoundError:
            return self._area.write(place, data, new=True)  # just given up
        old = [each for each in self._area.names(CLAIMS) if each.name == place]
        if not old or old[0].modified > self._clock() - CLAIMED:
            return False
        self._leases.ask_time(name)  # it is old by a clock that may be wrong
        if old[0].modified > self._clock() - CLAIMED:
            return False
        self._area.remove(place)
        return self._area.write(place, data, new=True)

    def unclaim(self, name: str, owner: str) -> None:
        """See the port."""
        place = f"{CLAIMS}/{spelled(name)}"
        try:
            if self._area.read(place) == owner.encode("utf-8", "surrogatepass"):
                self._area.remove(place)
        except NotFoundError:
            return

    def now(self) -> float:
        """See the port."""
        return self._clock()

    def close(self) -> None:
        """Remove the index; the artifact store stays open."""
        if self._opened is not None:
            self._opened.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    # the index

    def _refresh(self, run: str) -> None:
        self._take(sort(self._area.names(folder_of(run))))

    def _refresh_all(self, *, fresh: bool = False) -> Listing:
        if not fresh and time.monotonic() - self._looked < FRESH:
            return sort(())
        listing = sort(self._area.names(RUNS))
        self._take(listing)
        self._looked = time.monotonic()
        return listing

    def _take(self, listing: Listing, found: list[Event] | None = None) -> None:
        """Fold what is new; a listing that lacks what was seen before is late, and nothing is forgotten."""
        own = spelled(self.known)
        new = [name for name in listing.batches if name not in self._seen and name.split("/")[2] != own]
        if not new:
            return

        def append(_: list[str], batch: Batch) -> None:
            self._index.append(batch.events, None, batch.documents)

        def take(names: list[str], batch: Batch) -> None:
            self._index.fold(self._area.uri, names, batch.events, batch.documents)
            if found is not None:
                found.extend(batch.events)

        for put, some in (
            (append, [name for name in new if name in self._written]),
            (take, [name for name in new if name not in self._written]),
        ):
            folded = fold(self._area, some, put)
            self._seen.update(folded.names)
            for aside in folded.aside:
                self._seen.add(aside.name)
                self.aside.append(aside)

    def _forget(self, run: str) -> None:
        """Let the next look at `run` begin anew."""
        folder = folder_of(run) + "/"
        self._looked = float("-inf")
        self._seen = {name for name in self._seen if not name.startswith(folder)}
        self._own = {place: seq for place, seq in self._own.items() if place[0] != run}
        try:
            if self._opened is not None:
                self._opened.delete_run(run)
        except NotFoundError:
            return
