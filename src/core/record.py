"""Events on their way to the tracking store: buffered, appended in order, kept in a file when the store is away."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import deque
from itertools import count

from core.errors import CoreError, StoreError, UntrustedPickleError, message_of
from core.faults import armed, failpoint
from core.model.event import Event, EventKind
from core.model.nothing import NOTHING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any, Self

    from core.model.plan import Plan
    from core.model.states import RunState
    from core.ports.observer import Observer
    from core.ports.tracking_store import Lease, TrackingStore

HEARTBEAT = 10.0
"""Seconds between renewals of the run's lease, unless the settings say otherwise; silent for three, it reads LOST."""
TICK = 0.5
"""Seconds between flushes of what a step printed, and between looks whether somebody wants the run to end."""
GROUP = 0.01
"""Seconds for which an event may wait for others, so that one transaction takes them all: what `kill -9` can cost."""
SLOWEST = 0.25
"""The same at most, for a store that is slow: events wait up to four times as long as the last append took."""
BUFFER = 256
"""Events that wait at most."""


def run_id() -> str:
    """A new UUIDv7 (RFC 9562): sorts by time of creation."""
    stamp = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    value = stamp << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | noise & 0x3FFF_FFFF_FFFF_FFFF
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Recorder:
    """Writes the events of one run as its owner. Use it as a context manager: it holds the run's lease meanwhile."""

    def __init__(
        self,
        tracking: TrackingStore,
        run: str,
        *,
        project: str = "default",
        actor: str = "",
        observers: Sequence[Observer] = (),
        spill: str = "",
        tick: Callable[[], None] = lambda: None,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self.tracking = tracking
        self.run = run
        self.project = project
        self.actor = actor
        self.writer = f"{os.getpid():x}-{os.urandom(4).hex()}"
        self.holds = run
        """Name of its lease."""
        self.heartbeat = heartbeat
        """Seconds between two renewals of the lease."""
        self.interrupt: Callable[[str], None] = lambda _: None
        """Called in the recorder's thread when somebody wants the run to end, with what they said; with an empty text
        when `check` will raise."""
        self.emitted = -1
        """Number of the newest event."""
        self.durable = -1
        """Number of the newest event that is recorded with all before it."""
        self._observers = list(observers)
        self._spill = spill
        self._tick = tick
        self._buffer: deque[Event] = deque()  # put in at the right, taken out at the left: no lock
        self._documents: dict[str, str] = {}
        self._numbers = count()
        self._recorded = False
        self._longest = 0.0 if armed() else SLOWEST  # a test that kills at a failpoint finds what happened before it
        self.group = 0.0 if armed() else GROUP
        """Seconds for which an event may wait for others: more than the last append took."""
        self._flushed = 0.0
        self._away: StoreError | None = None
        self._refused: CoreError | None = None
        self._lease: Lease | None = None
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._ignored: set[tuple[Any, ...]] = set()
        self._keeper = threading.Thread(target=self._keep, name="core-recorder", daemon=True)

    def __enter__(self) -> Self:
        self._lease = self.tracking.acquire(self.holds, self.writer, 3 * self.heartbeat)
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()
        self._keeper.join()
        if self._lease is not None:
            try:
                self.tracking.release(self._lease)
            except StoreError:
                pass  # it runs out by itself

    def begin(self, plan: Plan, record: Mapping[str, Any], again: Sequence[str] | None = None) -> None:
        """Record that the run began; raises before anything ran when that can't be recorded.

        With `again`, the steps that a person wants once more, it goes on with a run that another owner began.
        """
        for observer in list(self._observers):
            self._guard(observer, lambda told: told.planned(self.run, plan))
        graph = plan.graph
        parameters = dict(graph.parameters)
        if again is not None:
            self._ignored = {event[3:5] for event in self._wishes()}
            self.emit(EventKind.RUN_RESUMED, again=list(again), **record)
            self.flush()
            failpoint("run.resumed")
            return
        self.document(graph.digest, graph.json)
        self.emit(
            EventKind.RUN_STARTED,
            pipeline=graph.pipeline,
            graph=graph.digest,
            source=graph.source,
            stack=plan.stack,
            parameters=parameters,
            **record,
        )
        self.flush()
        failpoint("run.started")

    def end(self, state: RunState, error: BaseException | None) -> None:
        """Record that the run ended, and how."""
        said = f"{type(error).__name__}: {message_of(error)}".splitlines()[0][:500] if error is not None else ""
        said = said.rstrip(": ")  # Ctrl-C has no message
        self.emit(EventKind.RUN_ENDED, state=state, error=said)
        try:
            self.finish()
        finally:
            failpoint("run.ended")
            for observer in list(self._observers):
                self._guard(observer, lambda told: told.close())

    def emit(self, kind: str, step: str = "", attempt: int = 0, *, now: bool = False, **data: Any) -> None:
        """Note that something happened now; durable within `GROUP` seconds, or with `now` on return."""
        seq, at = next(self._numbers), time.time()
        self.emitted = seq
        event = Event(self.run, step, attempt, self.writer, seq, kind, at, self.epoch, data, self.project, self.actor)
        self._buffer.append(event)
        for observer in self._observers:
            try:
                observer.event(event)
            except Exception as error:  # noqa: BLE001 - border of a plugin: a display must not end a run
                self._set_aside(observer, error)
        if not self._recorded:
            return
        waited = time.monotonic() - self._flushed
        due = now or (waited >= self.group and not self._writing.locked())  # else the other thread is at it
        if due or waited >= self._longest or len(self._buffer) >= BUFFER:
            self.flush()
        elif not self._wake.is_set():
            self._wake.set()

    @property
    def epoch(self) -> int:
        """Fencing epoch of what it records."""
        return 0 if self._lease is None else self._lease.epoch

    def document(self, digest: str, text: str) -> None:
        """Store `text` under `digest` together with the next events."""
        self._documents[digest] = text

    def flush(self) -> None:
        """Append what waits. A store that is away is tried again next time; what the store refuses raises."""
        with self._writing:
            if self._refused is not None:
                raise self._refused
            events = [self._buffer.popleft() for _ in range(len(self._buffer))]
            documents = dict(self._documents)
            if not events and not documents:
                return
            began = time.monotonic()
            try:
                self.tracking.append(events, self._lease, documents)
            except BaseException as error:  # Ctrl-C too: appending them again does nothing if they arrived
                self._buffer.extendleft(reversed(events))
                if not isinstance(error, StoreError):
                    self._refused = error if isinstance(error, CoreError) else None
                    raise
                if not self._recorded:
                    raise  # nothing was ever recorded, so nothing has run yet
                self._away = error
            else:
                self._recorded, self._away = True, None
                if events:
                    self.durable = events[-1].seq
                for digest in documents:
                    del self._documents[digest]
            self._flushed = time.monotonic()
            self.group = min(max(4 * (self._flushed - began), GROUP), self._longest)

    def check(self) -> None:
        """Raise what the recorder's thread met: the lease is another owner's by now, or the store refuses."""
        if self._refused is not None:
            raise self._refused

    def tell_resumed(self, done: Collection[str]) -> None:
        """Tell observers which steps are finished and stay so, in a run that goes on."""
        for observer in list(self._observers):
            self._guard(observer, lambda told: told.resumed(done))

    def tell_waiting(self, step: str, run: str) -> None:
        """Tell observers that `step` waits for the result of `run` (empty when that is not known yet)."""
        for observer in list(self._observers):
            self._guard(observer, lambda told: told.waiting(step, run))

    def _wishes(self) -> list[Event]:
        """What others asked of this run."""
        found = self.tracking.events(self.run, "")
        return [event for event in found if event.kind == EventKind.CANCEL_REQUESTED]

    def _hear(self) -> None:
        """Interrupt the run when somebody asked for its end since it began."""
        for event in self._wishes():
            if event[3:5] not in self._ignored:
                self._ignored.add(event[3:5])
                reason = f": {event.data['reason']}" if event.data.get("reason") else ""
                self.interrupt(f"run {self.run[-8:]} was cancelled by {event.actor or 'somebody'}{reason}")

    def recorded(self, digest: str) -> bool:
        """Whether the store, after what waits here is appended, knows an artifact with this digest."""
        self.flush()
        return vouched(self.tracking, digest)

    def finish(self) -> None:
        """Append the last events; when the store stays away keep them in a file for `replay`, and raise."""
        for pause in (0.0, 0.2, 1.0):
            time.sleep(pause)
            self.flush()
            if self._away is None:
                return
        if self._away is None or not self._spill:
            return
        path = os.path.join(self._spill, f"{self.run}.{self.writer}.json")
        try:
            os.makedirs(self._spill, exist_ok=True)
            _publish(path, json.dumps({"events": list(self._buffer), "documents": self._documents}))
        except OSError as error:
            raise StoreError(
                f"the last {len(self._buffer)} events of run {self.run} could be written neither to "
                f"{self.tracking.uri} ({self._away.message}) nor to {path!r} ({error})",
                "free disk space and run again: finished artifacts are kept, steps without a recorded end run again",
            ) from self._away
        raise StoreError(
            f"the last {len(self._buffer)} events of run {self.run} could not be written: {self._away.message}",
            f"they are kept in {path!r} and are recorded by the next run once the store is back",
        ) from self._away

    def _guard(self, observer: Observer, tell: Callable[[Observer], None]) -> None:
        try:
            tell(observer)
        except Exception as error:  # noqa: BLE001 - border of a plugin: a display must not end a run
            self._set_aside(observer, error)

    def _set_aside(self, observer: Observer, error: Exception) -> None:
        self._observers = [other for other in self._observers if other is not observer]
        os.write(2, f"core: {type(observer).__name__} failed and is set aside: {error!r}\n".encode())

    def _renew(self) -> None:
        if self._lease is not None and not failpoint("lease.renew"):
            self._lease = self.tracking.renew(self._lease, 3 * self.heartbeat)

    def _keep(self) -> None:
        """The recorder's own thread: appends what waited long enough, renews the lease, calls `tick`."""
        if hasattr(signal, "pthread_sigmask"):  # else a signal may come here while the run's thread sleeps on
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        renewed = ticked = time.monotonic()
        often = min(TICK, self.heartbeat / 2)
        while not self._stop.is_set():
            waiting = self._wake.wait(often)
            if waiting:
                self._stop.wait(self.group)
                self._wake.clear()
            now = time.monotonic()
            try:
                if waiting and self._recorded:
                    self.flush()
                if now - renewed >= self.heartbeat:
                    renewed = now
                    self._renew()
                if now - ticked >= TICK:
                    self._hear()
            except StoreError:
                pass  # tried again at the next beat; three missed ones make the run LOST
            except CoreError as error:
                self._refused = error  # the run's own thread raises it
                self.interrupt("")
                return
            if now - ticked >= TICK:
                ticked = now
                self._tick()


def vouched(tracking: TrackingStore, digest: str, names: Mapping[str, str] = NOTHING) -> bool:
    """Whether a pickle may be loaded; raises `UntrustedPickleError` for one that only a journal of others names.

    `names` tells what stores are called, by their URIs, as far as they are known.
    """
    if tracking.recorded(digest):
        return True
    origins = sorted(tracking.origins(digest))
    if not origins:
        return False
    raise UntrustedPickleError(
        f"artifact {digest} is a pickle that only the journal in {origins[0]!r} names, which others can write, too",
        "if all who can write there may run code as you, say so: "
        f"`core artifact-store update {names.get(origins[0], 'NAME')} --trusted true`",
    )


def replay(spill: str, tracking: TrackingStore) -> int:
    """Append what earlier runs had to keep in files in the folder `spill`; gives the number of events."""
    replayed = 0
    for path in _spilled(spill):
        try:
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
            events = [Event(*item) for item in kept["events"]]
            documents = kept["documents"]
        except FileNotFoundError:
            continue  # another run replays it at this moment
        except (ValueError, KeyError, TypeError) as error:
            os.replace(path, f"{path}.broken")  # kept for a look, and in nobody's way
            os.write(2, f"core: {path}.broken holds events that can't be read: {error}\n".encode())
            continue
        tracking.append(events, None, documents)
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue  # another run replayed it too, which changes nothing
        replayed += len(events)
    return replayed


def _publish(path: str, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    try:
        with open(f"{path}.part", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.part", path)
    except OSError:
        try:
            os.unlink(f"{path}.part")
        except OSError:
            pass  # it was never there, or cannot be removed: nobody reads it
        raise


def _spilled(folder: str) -> Iterable[str]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [os.path.join(folder, name) for name in sorted(names) if name.endswith(".json")]
