"""Tracking store: events of runs are appended and read back; documents, cache lookups and leases beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from core.errors import CoreError
    from core.model.event import Event
    from core.model.plan import CachedResult


class RunRow(Value):
    """One line of a listing of runs: an index made from events."""

    id: str
    """UUIDv7."""
    pipeline: str
    state: str
    """`RunState` by events and lease: `lost` when the run is not ended and its lease ran out."""
    started_at: float
    """Seconds since 1970, UTC."""
    ended_at: float | None
    stack: str
    project: str
    actor: str


class Lease(Value):
    """The right to write in a name's stead, until `expires_at` by the store's clock."""

    name: str
    """What is held, such as a run's id or `key:` and a cache key."""
    owner: str
    """Unique to the holder."""
    epoch: int
    """Fencing token: grows by one with every change of owner; 1 for the first."""
    expires_at: float
    """Seconds since 1970 by the store's clock."""


class LatestAttempt(Value):
    """The newest completed attempt of a step of a pipeline: what reasons compare with."""

    run: str
    fingerprint: Mapping[str, Any]


class TrackingStore(ABC):
    """Appends events and reads them back. Several processes may use one store at a time.

    Methods raise `StoreError` when the store can't be reached, is full or read-only, `CorruptDataError` (with what to
    do) when its data is damaged, foreign, or newer than this version of core.
    """

    uri: str
    """Where the events lie."""
    trusted: set[str]
    """Origins that `recorded` counts: the empty one, and URIs of journals that the user trusts."""

    @abstractmethod
    def append(
        self, events: Sequence[Event], fence: Lease | None = None, documents: Mapping[str, str] | None = None
    ) -> None:
        """Append `events` (and `documents`, text by digest) in one transaction, all or none.

        An event that is there already is a no-op; the same key with other content raises `EventConflictError`. With a
        `fence`, raises `LeaseLostError` and appends nothing when the lease has a newer epoch by now.
        """

    @abstractmethod
    def events(self, run: str, step: str | None = None) -> list[Event]:
        """Every event of `run` (of one `step` of it), ordered by writer and seq; empty when the run is unknown."""

    @abstractmethod
    def document(self, digest: str) -> str:
        """The text appended under `digest`; raises `NotFoundError`."""

    @abstractmethod
    def runs(
        self,
        project: str | None = None,
        *,
        limit: int | None = 50,
        before: str | None = None,
        pipeline: str | None = None,
        state: str | None = None,
    ) -> list[RunRow]:
        """Newest runs first, those whose start is recorded; `before` is a run id to page on from."""

    @abstractmethod
    def find_run(self, prefix: str, project: str | None = None) -> list[str]:
        """Ids of at most 10 runs that start or end with `prefix` (a person types the last characters), newest first."""

    @abstractmethod
    def delete_run(self, run: str) -> None:
        """Forget `run`: its events, index rows and cache entries; raises `NotFoundError`."""

    @abstractmethod
    def cached(self, keys: Iterable[str], project: str = "default", *, fresh: bool = False) -> dict[str, CachedResult]:
        """Newest completed attempt for each cache key that has one.

        Unless `fresh`, what others appended within the last second may be missing, here and in `latest`: then a step
        runs once more.
        """

    @abstractmethod
    def latest(self, pipeline: str, step: str, project: str = "default") -> LatestAttempt | None:
        """Newest completed attempt, or reuse of one, of `step` (a node id) in runs of `pipeline`."""

    @abstractmethod
    def recorded(self, digest: str) -> bool:
        """Whether an event in this store, of a trusted origin, names an output or a part of one with this digest."""

    def origins(self, digest: str) -> set[str]:
        """Where the events come from that do: URIs of journals, the empty text for what was recorded here."""
        return {""} if self.recorded(digest) else set()

    def fold(self, journal: str, objects: Sequence[str], events: Sequence[Event], documents: Mapping[str, str]) -> None:  # noqa: ARG002 - stores that can override
        """Append what `objects` of the `journal` at this URI hold, and note that they are here, in one transaction.

        Events that are here already keep their origin. Raises as `append` does.
        """
        raise _no_folding(self, journal)

    def folded(self, journal: str) -> set[str]:
        """The objects of the journal that `fold` was given."""
        raise _no_folding(self, journal)

    @abstractmethod
    def acquire(self, name: str, owner: str, seconds: float, epoch: int = 0) -> Lease:
        """Take the lease, or take it over once expired (epoch + 1); raises `ConflictError` while another holds it.

        The owner itself acquires again without a change of epoch; a greater `epoch` is what it gets at least.
        """

    @abstractmethod
    def renew(self, lease: Lease, seconds: float) -> Lease:
        """Extend by `seconds` from now; raises `LeaseLostError` when released, or the epoch is no longer the newest."""

    @abstractmethod
    def release(self, lease: Lease) -> None:
        """Give the lease up; a newer holder's is left alone."""

    @abstractmethod
    def lease(self, name: str) -> Lease | None:
        """The newest lease on `name`, expired or not."""

    def adopt(self, lease: Lease) -> None:
        """Note a lease that is kept elsewhere, unless a newer epoch is known here; `expires_at` by this clock."""

    @abstractmethod
    def claim(self, name: str, owner: str) -> bool:
        """Whether `owner` may now do what `name` stands for, such as `key:` and the cache key of a step.

        True when nobody holds it, or `owner` itself; it is held until `unclaim`, or until the owner's process is dead.
        Cheap: no transaction. It only spares work; what must not happen twice is fenced by a lease.
        """

    @abstractmethod
    def unclaim(self, name: str, owner: str) -> None:
        """Let others have it; what `owner` does not hold is fine."""

    @abstractmethod
    def now(self) -> float:
        """Seconds since 1970 by the store's clock."""

    def secure(self) -> None:
        """Wait until what was appended outlives its owner; nothing to do where it does at once."""

    def close(self) -> None:
        """Free what the store holds."""


def _no_folding(store: TrackingStore, journal: str) -> CoreError:
    from core.errors import ConfigurationError  # start-up time: nobody comes here

    return ConfigurationError(
        f"{store.uri!r} can't take in runs from {journal!r}", "only the database of a home can; see `core config`"
    )
