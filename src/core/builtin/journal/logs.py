"""What steps print, beside the artifacts in chunks while they run: who shares the store follows without the engine.

`logs/RUN/STEP.ATTEMPT/OFFSET` holds what was printed from there on, with secrets masked, as it stands in the log file
of the home that owns the run. The newest chunk is written again until it is large enough, so that neither requests nor
objects are many; of much output the store keeps, as the home does, the beginning and the newest part.
"""

from __future__ import annotations

import os
import signal
import threading

from core.builtin.journal.ending import finish
from core.builtin.journal.layout import spelled
from core.errors import CoreError, StoreError
from core.logs import offsets, place, stem
from core.text import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from core.ports.artifact_store import ArtifactStore

LOGS = "logs"
EVERY = 3.0
"""Seconds between two looks at the files: each log that has grown costs one request, as a rule."""
SMALL = 1 << 18
"""Bytes from which on a chunk is not written again."""
LARGEST = 4 << 20
"""Bytes of a chunk, at most."""
BURST = 8 << 20
"""Bytes of one log that are sent at one look; what a step prints faster is sent later, or left out."""
PATIENCE = 10.0
"""Seconds for which the end of a run waits for a store that is away."""


def log_folder(run: str) -> str:
    """Where the logs of a run lie."""
    return f"{LOGS}/{spelled(run)}"


def _chunk(run: str, log: str, offset: int) -> str:
    return f"{log_folder(run)}/{spelled(log)}/{offset:015}"


Chunks = dict[int, int]
"""Of one log, what the store has: where each chunk begins, and where it ends."""


class Courier:
    """Carries the log files in `folder` to the store, in a thread of its own; one owner of a run has one."""

    def __init__(self, store: ArtifactStore, run: str, folder: str, *, taken: bool) -> None:
        """`taken`: another owner was at the run before, and may have sent some."""
        self._store, self._run, self._folder = store, run, folder
        self._sent: dict[str, Chunks] | None = None if taken else {}
        self._anew: set[str] = set()
        self._away: CoreError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="core-logs", daemon=True)

    def start(self) -> None:
        """The run is ours: send from now on."""
        self._thread.start()

    def forget(self, step: str, attempt: int) -> None:
        """What an attempt printed is written anew, from its beginning."""
        self._anew.add(stem(step, attempt))

    def end(self) -> None:
        """Send the rest; what can't be sent is told."""
        if self._stop.is_set():
            return
        self._stop.set()
        why = finish(self._thread, lambda: self._try(end=True), lambda: self._away, PATIENCE)
        if why:
            os.write(2, f"core: logs of run {short(self._run)} are whole in this home only: {why}\n".encode())

    def stop(self) -> None:
        """Send nothing more; `end` does so, too."""
        self._stop.set()

    def _work(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        while not self._stop.wait(EVERY):
            self._try()

    def _try(self, *, end: bool = False) -> None:
        try:
            self._look(end=end)
            self._away = None
        except Exception as error:  # noqa: BLE001 - border of a plugin: the run goes on without its logs there
            self._away = error if isinstance(error, CoreError) else StoreError(f"{type(error).__name__}: {error}")

    def _look(self, *, end: bool) -> None:
        if self._sent is None:
            self._sent = found_in(self._store, self._run)
        for log, starts in offsets(self._folder).items():
            sent = self._sent.setdefault(spelled(log), {})
            pieces = list(self._pieces(log, starts))
            if log in self._anew or (pieces and pieces[-1][1] < _end(sent)):
                self._remove(log, sent, list(sent))
                self._anew.discard(log)
            if pieces and pieces[-1][1] != _end(sent):
                self._carry(log, sent, pieces, end=end)

    def _pieces(self, log: str, starts: list[int]) -> Iterator[tuple[int, int]]:
        """Where each file of a log begins and ends."""
        for start in starts:
            try:
                yield start, start + os.path.getsize(place(self._folder, log, start))
            except FileNotFoundError:
                continue  # removed meanwhile: newer ones are there

    def _carry(self, log: str, sent: Chunks, pieces: list[tuple[int, int]], *, end: bool) -> None:
        """Send what is new of one log, and remove what its home has removed."""
        for start, first, high in _due(pieces, _next(sent, pieces[-1][0]), everything=end):
            low = first
            while low < high:
                try:
                    with open(place(self._folder, log, start), "rb") as file:
                        file.seek(low - start)
                        data = file.read(min(high - low, LARGEST))
                except FileNotFoundError:
                    break  # removed meanwhile: it is left out
                if not data:
                    break
                self._store.write(_chunk(self._run, log, low), data)
                sent[low] = low + len(data)
                low += len(data)
        if len(pieces) > 1:
            head, oldest = pieces[0][1], pieces[1][0]
            self._remove(log, sent, [low for low, high in sent.items() if head <= low and high <= oldest])

    def _remove(self, log: str, sent: Chunks, chunks: list[int]) -> None:
        for low in chunks:
            self._store.remove(_chunk(self._run, log, low))
            del sent[low]


def _end(sent: Chunks) -> int:
    """Bytes of all that was printed that are behind us."""
    return max(sent.values(), default=0)


def _next(sent: Chunks, newest: int) -> int:
    """Where the next chunk begins: one of the `newest` file is written again while it is small."""
    last = max(sent, default=0)
    return last if newest <= last and sent.get(last, last) - last < SMALL else _end(sent)


def _due(pieces: list[tuple[int, int]], after: int, *, everything: bool) -> Iterator[tuple[int, int, int]]:
    """What of the files is sent now: where the file begins, and from where to where.

    The beginning of a log is sent in turn, of what follows the newest part.
    """
    due = [(start, max(start, after), stop) for start, stop in pieces if stop > after]
    if everything:
        yield from due
        return
    if due and due[0][0] == 0 and due[0][1] < due[0][2]:
        start, low, high = due[0]
        yield start, low, min(high, low + BURST)
        return
    left = BURST
    chosen = []
    for start, low, high in reversed(due):
        if left > 0:
            chosen.append((start, max(low, high - left), high))
            left -= high - low
    yield from reversed(chosen)


def found_in(store: ArtifactStore, run: str) -> dict[str, Chunks]:
    """What the store has of the logs of a run, by their names there; one listing."""
    found: dict[str, Chunks] = {}
    for each in store.names(log_folder(run)):
        parts = each.name.split("/")
        if len(parts) == 4 and parts[3].isdecimal() and len(parts[3]) == 15:
            offset = int(parts[3])
            found.setdefault(parts[2], {})[offset] = offset + each.size
    return found


def fetch(store: ArtifactStore, run: str, folder: str, logs: Iterable[str]) -> None:
    """Bring what the store has of `logs` (as `stem` names them), and this home's `folder` has not; one listing.

    Files of one log become those that the store has; each appears whole, so that others may read or fetch meanwhile.
    """
    found = found_in(store, run)
    here = offsets(folder)
    wanted: dict[str, tuple[str, int]] = {}
    for log in logs:
        there = found.get(spelled(log))
        if there is None:
            continue
        sizes = {start: _size(place(folder, log, start)) for start in here.get(log, ())}
        if max((start + size for start, size in sizes.items()), default=0) >= _end(there):
            continue
        for start, size in sizes.items():
            if there.get(start, 0) < start + size:
                _unlink(place(folder, log, start))
                sizes[start] = -1  # it is of another cut
        for start, end in there.items():
            if sizes.get(start) != end - start:
                wanted[_chunk(run, log, start)] = log, start
    os.makedirs(folder, exist_ok=True)
    for name, data in store.read_all(sorted(wanted)):
        if data is not None:  # else it was removed meanwhile: newer ones are there
            _put(place(folder, *wanted[name]), data)


def _put(path: str, data: bytes) -> None:
    part = f"{path}.{os.urandom(4).hex()}.part"
    with open(part, "wb") as file:
        file.write(data)
    os.replace(part, path)


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
