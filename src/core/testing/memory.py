"""In-memory doubles of the tracking store and the catalog: they pass the same suites, and nothing outlives them.

They answer every question from the events themselves, without an index: slow, and plainly right.
"""

from __future__ import annotations

import copy
import json
import threading
import time

from core.errors import ConflictError, EventConflictError, LeaseLostError, NotFoundError
from core.model.artifact import ArtifactRef
from core.model.event import TERMINAL, Event, EventKind
from core.model.plan import CachedResult
from core.ports.catalog import Catalog, Entry
from core.ports.tracking_store import LatestAttempt, Lease, RunRow, TrackingStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

_Key = tuple[str, str, int, str, int]
_OF_RUN = (EventKind.RUN_STARTED, EventKind.RUN_RESUMED, EventKind.RUN_ENDED)
_RESULTS = (EventKind.ATTEMPT_COMPLETED, EventKind.STEP_REUSED)


class ManualClock:
    """A clock that stands still until it is moved: `MemoryTrackingStore(clock=ManualClock())`."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        """Seconds since 1970; set it at will."""

    def __call__(self) -> float:
        """The time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self.now += seconds


class MemoryTrackingStore(TrackingStore):
    """Keeps events in a dict."""

    uri = "memory:"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        """Tells `now()`; a `ManualClock` lets leases run out at once."""
        self._lock = threading.RLock()
        self._events: dict[_Key, Event] = {}
        self._documents: dict[str, str] = {}
        self._leases: dict[str, Lease] = {}
        self._claims: dict[str, str] = {}
        self.trusted = {""}

    def append(
        self, events: Sequence[Event], fence: Lease | None = None, documents: Mapping[str, str] | None = None
    ) -> None:
        """See the port."""
        with self._lock:
            if fence is not None:
                held = self._leases.get(fence.name)
                if held is not None and held.epoch > fence.epoch:
                    raise LeaseLostError(f"{fence.owner!r} lost its lease on {fence.name!r}", "this writer must stop")
            new: dict[_Key, Event] = {}
            for event in events:
                key, plain = event[:5], event._replace(kind=str(event.kind), data=json.loads(json.dumps(event.data)))
                there = new.get(key) or self._events.get(key)
                if there is not None and _text(there) != _text(plain):
                    raise EventConflictError(f"event {key!r} is recorded with other content", "nothing was appended")
                new[key] = there or plain
            self._events.update(new)
            self._documents = {**(documents or {}), **self._documents}

    def events(self, run: str, step: str | None = None) -> list[Event]:
        """See the port."""
        with self._lock:
            found = [event for event in self._events.values() if event.run == run and step in (None, event.step)]
        return copy.deepcopy(sorted(found, key=lambda event: (event.writer, event.seq, event.step, event.attempt)))

    def document(self, digest: str) -> str:
        """See the port."""
        if digest not in self._documents:
            raise NotFoundError(f"no document {digest!r} in this store", "was the run recorded in another one?")
        return self._documents[digest]

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
        with self._lock:
            ids = sorted({event.run for event in self._events.values()}, reverse=True)
            rows = [row for run in ids if (row := self._row(run))]
        return [
            row
            for row in rows
            if project in (None, row.project)
            and pipeline in (None, row.pipeline)
            and state in (None, row.state)
            and (before is None or row.id < before)
        ][:limit]

    def _row(self, run: str) -> RunRow | None:
        own = [event for event in self._events.values() if event[:3] == (run, "", 0)]
        starts = sorted((event for event in own if event.kind == EventKind.RUN_STARTED), key=_rank)
        ends = sorted((event for event in own if event.kind == EventKind.RUN_ENDED), key=_rank)
        if not starts:
            return None
        start, state, ended_at = starts[0], "running", None
        newest = max(event.epoch for event in own if event.kind in _OF_RUN)
        lease = self._leases.get(run)
        if ends and ends[0].epoch == newest:
            state, ended_at = ends[0].data.get("state", "failed"), ends[0].at
        elif lease is None or lease.expires_at <= self.clock():
            state = "lost"
        pipeline, stack = start.data.get("pipeline", ""), start.data.get("stack", "")
        started_at = min(event.at for event in starts)
        return RunRow(run, pipeline, state, started_at, ended_at, stack, start.project, start.actor)

    def find_run(self, prefix: str, project: str | None = None) -> list[str]:
        """See the port."""
        ids = [row.id for row in self.runs(project, limit=None)]
        return [run for run in ids if run.startswith(prefix) or run.endswith(prefix)][:10]

    def delete_run(self, run: str) -> None:
        """See the port."""
        with self._lock:
            keys = [key for key in self._events if key[0] == run]
            if not keys:
                raise NotFoundError(f"no run {run!r} in this store", "`core runs list` tells which there are")
            for key in keys:
                del self._events[key]

    def _results(self, project: str) -> list[Event]:
        """The terminal event that counts, of every attempt; oldest first."""
        attempts: dict[tuple[str, str, int], list[Event]] = {}
        for event in self._events.values():
            if event.kind in TERMINAL:
                attempts.setdefault(event[:3], []).append(event)
        best = [min(events, key=_rank) for events in attempts.values()]
        return sorted((event for event in best if event.project == project), key=lambda event: (event.at, event[:3]))

    def cached(
        self,
        keys: Iterable[str],
        project: str = "default",
        *,
        fresh: bool = False,  # noqa: ARG002 - nothing is ever stale here
    ) -> dict[str, CachedResult]:
        """See the port."""
        wanted, found = set(keys), {}
        with self._lock:
            done = [event for event in self._results(project) if event.kind == EventKind.ATTEMPT_COMPLETED]
        for event in done:
            key = event.data.get("key")
            if isinstance(key, str) and key and key in wanted:
                outputs = {name: ArtifactRef.from_data(data) for name, data in event.data.get("outputs", {}).items()}
                found[key] = CachedResult(event.run, event.step, event.attempt, event.at, outputs)
        return found

    def latest(self, pipeline: str, step: str, project: str = "default") -> LatestAttempt | None:
        """See the port."""
        with self._lock:
            for event in reversed(self._results(project)):
                if event.kind in _RESULTS and event.step == step and event.data.get("pipeline") == pipeline:
                    told = event.data.get("fingerprint") or {}
                    known = json.loads(self._documents.get(told, "{}")) if isinstance(told, str) else told
                    return LatestAttempt(event.run, known)
        return None

    def recorded(self, digest: str) -> bool:
        """See the port."""
        with self._lock:
            done = [event for event in self._events.values() if event.kind in _RESULTS]
        outputs: list[dict[str, Any]] = [data for event in done for data in event.data.get("outputs", {}).values()]
        return any(digest == data["digest"] or digest in data.get("parts", ()) for data in outputs)

    def acquire(self, name: str, owner: str, seconds: float, epoch: int = 0) -> Lease:
        """See the port."""
        with self._lock:
            held, now = self._leases.get(name), self.clock()
            if held is not None and held.owner != owner and held.expires_at > now:
                raise ConflictError(f"{name!r} is held by {held.owner!r}", "wait until its owner ends or falls silent")
            epoch = max(epoch, 1 if held is None else held.epoch + (held.owner != owner))
            self._leases[name] = Lease(name, owner, epoch, now + seconds)
            return self._leases[name]

    def adopt(self, lease: Lease) -> None:
        """See the port."""
        with self._lock:
            held = self._leases.get(lease.name)
            if held is None or held.epoch <= lease.epoch:
                self._leases[lease.name] = lease

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """See the port."""
        with self._lock:
            held = self._leases.get(lease.name)
            if held is None or held.epoch != lease.epoch or not held.expires_at:
                raise LeaseLostError(f"{lease.owner!r} lost its lease on {lease.name!r}", "this writer must stop")
            self._leases[lease.name] = held._replace(expires_at=self.clock() + seconds)
            return self._leases[lease.name]

    def release(self, lease: Lease) -> None:
        """See the port."""
        with self._lock:
            held = self._leases.get(lease.name)
            if held is not None and held.epoch == lease.epoch:
                self._leases[lease.name] = held._replace(expires_at=0.0)

    def lease(self, name: str) -> Lease | None:
        """See the port."""
        return self._leases.get(name)

    def claim(self, name: str, owner: str) -> bool:
        """See the port."""
        return self._claims.setdefault(name, owner) == owner

    def unclaim(self, name: str, owner: str) -> None:
        """See the port."""
        if self._claims.get(name) == owner:
            del self._claims[name]

    def now(self) -> float:
        """See the port."""
        return self.clock()


class MemoryCatalog(Catalog):
    """Keeps entries in a dict."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        """Tells `changed_at`."""
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str, str], Entry] = {}

    def get(self, kind: str, name: str, project: str = "default") -> Entry:
        """See the port."""
        if (project, kind, name) not in self._entries:
            raise self._unknown(kind, name, project)
        return copy.deepcopy(self._entries[project, kind, name])

    def list(self, kind: str, project: str = "default") -> list[Entry]:
        """See the port."""
        return copy.deepcopy([entry for key, entry in sorted(self._entries.items()) if key[:2] == (project, kind)])

    def put(self, entry: Entry) -> Entry:
        """See the port."""
        with self._lock:
            key = (entry.project, entry.kind, entry.name)
            there = self._entries[key].revision if key in self._entries else 0
            if there != entry.revision:
                where = f"at revision {there}, not {entry.revision}"
                raise ConflictError(f"{entry.kind} {entry.name!r} is {where}", "read it again")
            data = json.loads(json.dumps(dict(entry.data)))
            self._entries[key] = entry._replace(revision=there + 1, changed_at=self.clock(), data=data)
            return copy.deepcopy(self._entries[key])

    def delete(self, kind: str, name: str, revision: int, project: str = "default") -> None:
        """See the port."""
        with self._lock:
            there = self._entries.get((project, kind, name))
            if there is None:
                raise self._unknown(kind, name, project)
            if there.revision != revision:
                raise ConflictError(f"{kind} {name!r} is at revision {there.revision}, not {revision}", "read it again")
            del self._entries[project, kind, name]

    def _unknown(self, kind: str, name: str, project: str) -> NotFoundError:
        from difflib import get_close_matches  # start-up time: only an error needs it

        names = [key[2] for key in self._entries if key[:2] == (project, kind)]
        close = get_close_matches(name, names, 3, 0.5) or sorted(names)
        return NotFoundError(f"no {kind} is called {name!r}", f"there is {', '.join(map(repr, close)) or 'none'}")


def _rank(event: Event) -> tuple[int, int, str]:
    return -event.epoch, event.seq, event.writer


def _text(event: Event) -> str:
    return json.dumps(event, sort_keys=True)
