"""A home's tracking store whose runs are written to a journal, too: by a thread, so that no step waits for a network.

The database of the home is what a run reads and writes. The thread brings its events to the journal in batches, renews
the run's lease there, and brings back what others wrote of the run: a wish to cancel it, a newer owner. While the store
is away it collects and tries again; what is left at the end is noted in a file, and goes there with the next run.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from core.builtin.journal.ending import finish
from core.builtin.journal.layout import folder_of, sort, spelled
from core.builtin.journal.notes import Note, drop_note, read_note, replay_notes, write_note
from core.builtin.journal.sync import Exchange
from core.errors import ConflictError, CoreError, LeaseLostError, StoreError
from core.faults import failpoint
from core.model.event import TERMINAL, EventKind
from core.ports.tracking_store import TrackingStore
from core.text import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.model.event import Event
    from core.model.plan import CachedResult
    from core.ports.artifact_store import ArtifactStore
    from core.ports.tracking_store import LatestAttempt, Lease, RunRow

EVERY = 2.0
"""Seconds between two objects of a run, at least, but for its end."""
LOOK = 5.0
"""Seconds between two looks at what others wrote of the run."""
PATIENCE = 10.0
"""Seconds for which the end of a run waits for a store that is away."""
MOST = 20_000
"""Events that wait at most; then they are read from the database once the store is back."""
_FACTS = frozenset({*TERMINAL, EventKind.RUN_STARTED, EventKind.RUN_RESUMED, EventKind.RUN_ENDED})
"""What only an owner of a run writes: no wishes of people, no words of jobs that outlive their driver."""


class Mirrored(TrackingStore):
    """The database `inner`, mirrored to the journal in `area` by its owner of one run at a time.

    `notes` is the folder of what is not in the journal yet: a file for each run, called by its id. A database that is
    not `lasting` ends with its process.
    """

    def __init__(self, inner: TrackingStore, area: ArtifactStore, notes: str, *, lasting: bool = True) -> None:
        self.uri = inner.uri
        self.trusted = inner.trusted
        self.inner = inner
        self._exchange = Exchange(area, inner)
        self._notes = notes
        self._lasting = lasting
        self._scribe: Scribe | None = None

    def append(
        self, events: Sequence[Event], fence: Lease | None = None, documents: Mapping[str, str] | None = None
    ) -> None:
        """See the port. What is not of the run that is owned here, such as a wish, goes to the journal at once."""
        scribe = self._scribe
        if scribe is not None:
            scribe.check()
        self.inner.append(events, fence, documents)
        if scribe is not None and all(event.run == scribe.run for event in events):
            scribe.add(events, documents or {})
        else:
            self._exchange.push(list(events), documents or {})

    def acquire(self, name: str, owner: str, seconds: float, epoch: int = 0) -> Lease:
        """See the port. A run that is known is taken in the journal first: it may be at work elsewhere."""
        lease = self.inner.acquire(name, owner, seconds, epoch)
        known = bool(self.inner.events(name, ""))
        if known:
            try:
                lease = self._take_over(lease, seconds)
            except BaseException:
                self.inner.release(lease)
                raise
        write_note(self._notes, name, Note(self._exchange.uri, owner))
        self._scribe = Scribe(self._exchange, lease, seconds, self._notes, taken=known)
        return lease

    def _take_over(self, lease: Lease, seconds: float) -> Lease:
        """Take a run's lease in the journal, in the same epoch here and there; raises `ConflictError`."""
        exchange, run = self._exchange, lease.name
        note = read_note(self._notes, run)  # of an owner in this home, which is dead: else the lease here were not ours
        dead = note.owner if note is not None and note.uri == exchange.uri else ""
        there = exchange.leases.acquire(run, lease.owner, seconds, lease.epoch, dead=dead)
        try:
            if there.epoch > lease.epoch:
                lease = self.inner.acquire(run, lease.owner, seconds, there.epoch)
            before = self._facts(run)
            exchange.take(sort(exchange.area.names(folder_of(run))))
            if self._facts(run) > before:
                _refuse_stale(run)
            exchange.catch_up(run)
        except BaseException:
            exchange.leases.release(there)
            raise
        return lease

    def _facts(self, run: str) -> int:
        return sum(event.kind in _FACTS for event in self.inner.events(run))

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """See the port. The thread renews the other one."""
        if self._scribe is not None:
            self._scribe.check()
        return self.inner.renew(lease, seconds)

    def release(self, lease: Lease) -> None:
        """See the port: waits until the journal has the run's events, or `PATIENCE` is at an end."""
        scribe, self._scribe = self._scribe, None
        self.inner.release(lease)
        if scribe is not None:
            scribe.end()

    def secure(self) -> None:
        """See the port: the home of a detached driver is gone with it, and the journal is what others go by."""
        if not self._lasting and self._scribe is not None:
            self._scribe.hurry()

    # the rest is the database's

    def events(self, run: str, step: str | None = None) -> list[Event]:
        """See the port."""
        return self.inner.events(run, step)

    def document(self, digest: str) -> str:
        """See the port."""
        return self.inner.document(digest)

    def runs(
        self,
        project: str | None = None,
        *,
        limit: int | None = 50,
        before: str | None = None,
        pipeline: str | None = None,
        state: str | None = None,
    ) -> list[RunRow]:
        """See the port."""
        return self.inner.runs(project, limit=limit, before=before, pipeline=pipeline, state=state)

    def find_run(self, prefix: str, project: str | None = None) -> list[str]:
        """See the port."""
        return self.inner.find_run(prefix, project)

    def delete_run(self, run: str) -> None:
        """See the port. The journal keeps it."""
        self.inner.delete_run(run)

    def cached(self, keys: Iterable[str], project: str = "default", *, fresh: bool = False) -> dict[str, CachedResult]:
        """See the port."""
        return self.inner.cached(keys, project, fresh=fresh)

    def latest(self, pipeline: str, step: str, project: str = "default") -> LatestAttempt | None:
        """See the port."""
        return self.inner.latest(pipeline, step, project)

    def recorded(self, digest: str) -> bool:
        """See the port."""
        return self.inner.recorded(digest)

    def origins(self, digest: str) -> set[str]:
        """See the port."""
        return self.inner.origins(digest)

    def lease(self, name: str) -> Lease | None:
        """See the port."""
        return self.inner.lease(name)

    def claim(self, name: str, owner: str) -> bool:
        """See the port: of runs of this home; runs elsewhere may do the same work."""
        return self.inner.claim(name, owner)

    def unclaim(self, name: str, owner: str) -> None:
        """See the port."""
        self.inner.unclaim(name, owner)

    def now(self) -> float:
        """See the port."""
        return self.inner.now()


def _refuse_stale(run: str) -> None:
    raise ConflictError(f"run {run} went on elsewhere since this home last heard of it", "look at it, and try again")


class Scribe:
    """The thread that keeps the journal of one run while this process owns it."""

    def __init__(self, exchange: Exchange, lease: Lease, seconds: float, notes: str, *, taken: bool) -> None:
        self.run = lease.name
        self._exchange = exchange
        self._lease = lease
        self._seconds = seconds
        self._notes = notes
        self._taken = taken
        self._events: list[Event] = []
        self._documents: dict[str, str] = {}
        self._gap = False
        self._lost: CoreError | None = None
        self._away: CoreError | None = None
        self._pushed, self._looked = time.monotonic(), float("-inf")
        self._renewed = exchange.inner.now()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._waiting: list[threading.Event] = []  # of those who wait for a turn
        self._thread = threading.Thread(target=self._work, name="core-journal", daemon=True)
        self._thread.start()

    def add(self, events: Sequence[Event], documents: Mapping[str, str]) -> None:
        """Let events that are recorded go to the journal; those of jobs come from there."""
        own = [event for event in events if event.writer == self._lease.owner]
        if not own and not documents:
            return
        with self._lock:
            self._documents.update(documents)
            self._events.extend(own)
            if len(self._events) > MOST:
                self._events.clear()
                self._gap = True
        self._wake.set()

    def hurry(self) -> None:
        """Bring what was added to the journal now, and wait for that; a store that is away is not waited for."""
        turned = threading.Event()
        with self._lock:
            self._waiting.append(turned)
        self._wake.set()
        turned.wait(PATIENCE)

    def check(self) -> None:
        """Raise `LeaseLostError` when another home goes on with the run."""
        if self._lost is not None:
            raise self._lost

    def end(self) -> None:
        """Bring the rest to the journal; what can't be is noted, and told. Raises `LeaseLostError`."""
        self._stop.set()
        self._wake.set()
        why = finish(self._thread, self._last, lambda: self._away, PATIENCE)
        if not why:
            drop_note(self._notes, self.run)
            return
        said = f"core: the journal of run {short(self.run)} is not complete: {why}\n"
        os.write(2, f"{said}  it will be with the next run, or with `core runs sync`\n".encode())

    def _last(self) -> None:
        self._try(end=True)
        self.check()

    def _work(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        self._try(replay=True)
        while not self._stop.is_set():
            now = time.monotonic()
            waits = [self._looked + min(LOOK, self._seconds / 6) - now]
            if self._waiting:
                waits.append(0.0)
            if self._events or self._gap:
                waits.append(self._pushed + EVERY - now)
            if min(waits) > 0:
                self._wake.wait(min(waits))
                self._wake.clear()
                continue
            self._try()

    def _try(self, *, end: bool = False, replay: bool = False) -> None:
        """One turn; a store that is away is noted and tried again."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        try:
            if self._lost is None:
                self._turn(end=end, now=bool(waiting))
            if replay:
                replay_notes(self._exchange, self._notes, but=self.run)
            self._away = None
        except (LeaseLostError, ConflictError) as error:
            self._lost = error
        except Exception as error:  # noqa: BLE001 - border of a plugin: the run goes on without its journal
            self._away = error if isinstance(error, CoreError) else StoreError(f"{type(error).__name__}: {error}")
            self._pushed = self._looked = time.monotonic()
        finally:
            for turned in waiting:
                turned.set()

    def _turn(self, *, end: bool, now: bool) -> None:
        exchange, lease = self._exchange, self._lease
        if not self._taken:  # its id is new: nobody else can know it
            exchange.leases.first(lease.name, lease.owner, self._seconds, lease.epoch)
            self._taken, self._renewed = True, exchange.inner.now()
            self._looked = time.monotonic()
        at = time.monotonic()
        if end and exchange.inner.now() - self._renewed > self._seconds:
            self._look()  # it was silent for so long that another may go on with the run
        if end or now or at - self._pushed >= EVERY:
            self._push()
        if end:
            exchange.leases.release(lease)
        elif at - self._looked >= min(LOOK, self._seconds / 6):
            self._look()
            self._looked = at

    def _push(self) -> None:
        with self._lock:
            events, documents, gap = self._events, self._documents, self._gap
            self._events, self._documents, self._gap = [], {}, False
        if not (events or documents or gap):
            return
        try:
            failpoint("journal.push")
            if gap:
                self._exchange.catch_up(self.run)
            else:
                self._exchange.push(events, documents)
        except BaseException:
            with self._lock:
                self._events, self._documents = events + self._events, {**documents, **self._documents}
                self._gap = self._gap or gap
            raise
        self._pushed = time.monotonic()

    def _look(self) -> None:
        """Read what others wrote of the run, and renew the lease: one listing, and one write each third of its time."""
        exchange = self._exchange
        listing = sort(exchange.area.names(folder_of(self.run)))
        mark = listing.leases.get(spelled(self.run))
        if mark is not None and mark.epoch > self._lease.epoch:
            exchange.take(listing)
            exchange.adopt(listing, self.run)
            raise LeaseLostError(
                f"run {self.run} is gone on with by another home (epoch {mark.epoch}), which shares {exchange.uri}",
                "it was silent for too long; this one must stop",
            )
        exchange.take(listing)
        now = exchange.inner.now()  # goes on while the machine sleeps
        if now - self._renewed >= self._seconds / 3:
            self._lease = exchange.leases.renew(self._lease, self._seconds)
            self._renewed = now
