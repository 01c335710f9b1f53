"""Events on their way to the tracking store: buffered, appended in order, kept in a file when the store is away."""

from __future__ import annotations

import json
import os
import threading
import time

from core.errors import LeaseLostError, StoreError, message_of
from core.faults import failpoint
from core.model.event import Event, EventKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Self

    from core.model.plan import Plan
    from core.model.states import RunState
    from core.ports.observer import Observer
    from core.ports.tracking_store import Lease, TrackingStore

HEARTBEAT = 10.0
"""Seconds between renewals of the run's lease; an owner silent for three of them reads LOST."""
TICK = 0.5
"""Seconds between flushes of what a step printed."""
BUFFER = 256
"""Events that are held back at most; none is held back once a step's function is about to be called."""


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
    ) -> None:
        self.tracking = tracking
        self.run = run
        self.project = project
        self.actor = actor
        self.writer = f"{os.getpid():x}-{os.urandom(4).hex()}"
        self._observers = list(observers)
        self._spill = spill
        self._tick = tick
        self._buffer: list[Event] = []
        self._documents: dict[str, str] = {}
        self._seq = 0
        self._away: StoreError | None = None
        self._lost: LeaseLostError | None = None
        self._lease: Lease | None = None
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._heartbeat, name="core-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._lease = self.tracking.acquire(self.run, self.writer, 3 * HEARTBEAT)
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._beat.join()
        if self._lease is not None:
            try:
                self.tracking.release(self._lease)
            except StoreError:
                pass  # it runs out by itself

    def begin(self, plan: Plan, record: Mapping[str, Any]) -> None:
        """Record that the run began; raises before anything ran when that can't be recorded."""
        for observer in list(self._observers):
            self._guard(observer, lambda told: told.planned(self.run, plan))
        graph = plan.graph
        parameters = dict(graph.parameters)
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
        self.emit(EventKind.RUN_ENDED, state=state, error=said)
        try:
            self.finish()
        finally:
            failpoint("run.ended")
            for observer in list(self._observers):
                self._guard(observer, lambda told: told.close())

    def emit(self, kind: str, step: str = "", attempt: int = 0, **data: Any) -> None:
        """Note that something happened now; `flush` makes it durable."""
        epoch = 0 if self._lease is None else self._lease.epoch
        at = time.time()
        event = Event(self.run, step, attempt, self.writer, self._seq, kind, at, epoch, data, self.project, self.actor)
        self._seq += 1
        self._buffer.append(event)
        for observer in list(self._observers):
            self._guard(observer, lambda told: told.event(event))
        if len(self._buffer) >= BUFFER:
            self.flush()

    def document(self, digest: str, text: str) -> None:
        """Store `text` under `digest` together with the next events."""
        self._documents[digest] = text

    def flush(self) -> None:
        """Append what is buffered. A store that is away is tried again next time; a lost lease raises."""
        if self._lost is not None:
            raise self._lost
        if not self._buffer and not self._documents:
            return
        try:
            self.tracking.append(self._buffer, self._lease, self._documents)
        except StoreError as error:
            if self._away is None and self._seq == len(self._buffer):
                raise  # nothing was ever recorded, so nothing has run yet
            self._away = error
            return
        self._away = None
        self._buffer = []
        self._documents = {}

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
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"events": self._buffer, "documents": self._documents}, file)
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
            self._observers.remove(observer)
            os.write(2, f"core: {type(observer).__name__} failed and is set aside: {error!r}\n".encode())

    def _heartbeat(self) -> None:
        renewed = time.monotonic()
        while not self._stop.wait(TICK):
            self._tick()
            if time.monotonic() - renewed < HEARTBEAT or self._lease is None:
                continue
            renewed = time.monotonic()
            try:
                self._lease = self.tracking.renew(self._lease, 3 * HEARTBEAT)
            except LeaseLostError as error:
                self._lost = error
                return
            except StoreError:
                continue  # tried again at the next beat; three missed ones make the run LOST


def replay(spill: str, tracking: TrackingStore) -> int:
    """Append what earlier runs had to keep in files in the folder `spill`; gives the number of events."""
    count = 0
    for path in _spilled(spill):
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
        events = [Event(*item) for item in kept["events"]]
        tracking.append(events, None, kept["documents"])
        os.unlink(path)
        count += len(events)
    return count


def _spilled(folder: str) -> Iterable[str]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [os.path.join(folder, name) for name in sorted(names) if name.endswith(".json")]
