"""What a driver and its jobs leave for each other beside the artifacts: reports, signs of life, new credentials."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock

from core.bundle import life_of
from core.errors import CoreError, StoreError
from core.model.event import EventKind
from core.pact import genuine, key_of, place_of, seal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.execute import Bench
    from core.model.event import Event as Fact
    from core.schedule.work import Work, Yard

_COPIED = frozenset({EventKind.METADATA, EventKind.CHECKPOINT, EventKind.ATTEMPT_RETURNED})
"""Events of a job that become part of the driver's own record."""


class Post:
    """The driver's side of it. Every method may raise `StoreError`, unless it says otherwise."""

    def __init__(self, bench: Bench, yard: Yard) -> None:
        self._bench = bench
        self._yard = yard
        self.lending = Lock()
        """Held while credentials are left for jobs."""

    def read(self, work: Work) -> Fact | None:
        """What the attempt says of itself; what else it recorded becomes part of the driver's own record."""
        step, number = work.key
        found = [event for event in self._yard.mailbox.events(self._bench.run, step) if event.attempt == number]
        copied = self._believed(work, [event for event in found if event.kind in _COPIED])
        if copied:
            self._yard.tracking.append(copied)
        testimony = next((event for event in copied if event.kind == EventKind.ATTEMPT_RETURNED), None)
        told = any(event.kind == EventKind.ATTEMPT_RETURNED for event in found)
        work.doubted = told and work.inherited and testimony is None
        return testimony

    def _believed(self, work: Work, events: list[Fact]) -> list[Fact]:
        """Those that the job itself wrote.

        Of one that an owner in another home launched nobody here can tell: then all that names no pickle, which loads
        whatever who wrote it wants, or where the store is trusted.
        """
        key = key_of(self._yard.secret, work.job.id)
        own = [event for event in events if genuine(key, event, event.data)]
        if own or not work.inherited:
            return own
        trusted = self._bench.store.trusted or not self._bench.store.shared
        return [event for event in events if trusted or not self._names_pickle(event)]

    def _names_pickle(self, event: Fact) -> bool:
        refs = [*event.data.get("outputs", {}).values(), event.data.get("artifact")]
        return any(self._bench.materializers.named(ref["materializer"]).pickles for ref in refs if ref)

    def alive(self, work: Work) -> bool:
        """Whether the attempt gives signs of life; a store that is away tells of none. Never raises."""
        mailbox = self._yard.mailbox
        try:
            lease = mailbox.lease(life_of(self._bench.run, *work.key))
            return lease is not None and lease.expires_at > mailbox.now()
        except StoreError:
            return False

    def lend(self, works: Iterable[Work]) -> None:
        """Leave newer credentials for jobs that have some which end; never raises, and may wait for a cloud."""
        store = self._bench.store
        with self.lending, suppress(CoreError):  # tried again at the next look
            given = store.credentials() if store.credentials is not None else None
            if given is None or given.expires_at is None:
                return
            for work in works:
                if work.lent is not None and given.expires_at > work.lent:
                    work.left = True  # before: what tells of an error may have been written
                    store.write(place_of(work.job.id), seal(key_of(self._yard.secret, work.job.id), work.job.id, given))
                    work.lent = given.expires_at

    def clear(self, work: Work) -> None:
        """Nothing of an attempt that has ended is read any more."""
        self._yard.mailbox.drop(life_of(self._bench.run, *work.key))
        if work.left:
            self._bench.store.remove(place_of(work.job.id))
