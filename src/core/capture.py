"""What a step prints goes to its own log as well as to the terminal; text passes through at C speed."""

from __future__ import annotations

import io
import os
import sys
from _thread import _count, allocate_lock, get_ident
from threading import Event, Thread

from core.logs import LIMIT, LogFile
from core.mask import Stream, current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

    from core.builtin.journal.logs import Courier
    from core.lanes import Lanes
    from core.ports.observer import Observer

BUFFER = 1 << 16
HELD = 1 << 13
"""Bytes that the text end of a stream holds while one thread prints, which makes `print` a third faster. With several
it holds nothing: lines could change places, or be lost, on the way to the buffer below it, which is safe."""
QUIET = 1.0
"""Seconds that the end of a run waits for the thread that writes out what is buffered: its terminal may be stuck."""


class Capture:
    """Stands in for `sys.stdout` and `sys.stderr` while a run is at work in this thread."""

    def __init__(self, folder: str, observers: Sequence[Observer] = (), *, limit: int = LIMIT) -> None:
        """`folder` is that of the run's logs, `limit` what is kept of one in bytes."""
        self._folder = folder
        self._limit = limit
        self._observers = [o for o in observers if type(o).output is not _silent_output()]
        self._step = ""
        self._attempt = 0
        self._log: LogFile | None = None
        self._lanes: Lanes | None = None
        self._failed = False
        self._gone: set[str] = set()
        self._masks = {name: Stream() for name in _NAMES}
        self._flusher: Thread | None = None
        self._due = Event()
        self._ended = False
        self.originals: list[Any] = []
        """What stood in `sys.stdout` and `sys.stderr` before; None where there was nothing."""
        self.streams: list[Any] = []
        """What stands in for each."""
        self.process = os.getpid()
        """Id of the process that the run belongs to."""
        self.courier: Courier | None = None
        """Carries the logs to where others see them, too."""

    def __enter__(self) -> Self:
        with _lock:
            stack = _captures.get(get_ident(), [])
            found = [beneath(index) for index in (0, 1)]
            self.originals = found
            for stream in found:
                _flush(stream)  # what stands in it was printed before
            self.streams = [_text(_Tee(self, name, found[index]), found[index]) for index, name in enumerate(_NAMES)]
            current()  # what the program takes out of its environment later is a secret still
            _captures[get_ident()] = [*stack, self]
            for index, name in enumerate(_NAMES):
                now = getattr(sys, name)
                new = self.streams[index] if len(_captures) == 1 else _switches[index]
                setattr(sys, name, new)
                point_handlers((now, found[index]), new)
        if self.courier is not None:
            self.courier.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        if self._lanes is not None:
            self._lanes.close_all()
        self._ended = True
        self._due.set()
        if self._flusher is not None:
            self._flusher.join(QUIET)
        if self.courier is not None:
            self.courier.stop()
        with _lock:
            left = [capture for capture in _captures.pop(get_ident(), []) if capture is not self]
            if left:
                _captures[get_ident()] = left
            for index, name in enumerate(_NAMES):
                now, old = getattr(sys, name), self.originals[index]
                if now is _switches[index] and len(_captures) == 1:
                    old = next(iter(_captures.values()))[-1].streams[index]
                if now is self.streams[index] or (now is _switches[index] and len(_captures) <= 1):
                    setattr(sys, name, old)  # else somebody replaced it meanwhile, and keeps it
                    point_handlers((now,), old)
                point_handlers((self.streams[index],), self.originals[index])

    def begin(self, step: str, attempt: int) -> None:
        """What is printed from now on belongs to this attempt."""
        current()
        self._step = step
        self._attempt = attempt

    def end(self) -> None:
        """The attempt is over: write out what it printed. Never raises: a closed stream has nothing to write out."""
        for index, stream in enumerate(self.streams):
            _flush(stream)
            self._pass(_NAMES[index], self.originals[index], self._masks[_NAMES[index]].end())
        self._step = ""
        log, self._log = self._log, None
        if log is not None:
            self._keep(log)

    def tick(self) -> None:
        """Have what is buffered written out, so that `core runs logs` sees it.

        Called from the heartbeat's thread, which must not wait: a terminal that nobody reads (`| less`) takes nothing.
        """
        if self._flusher is None and not self._ended and (self.streams or self._lanes):
            flusher = Thread(target=self._flush, name="core-output", daemon=True)
            flusher.start()
            self._flusher = flusher  # not before: the run may end at this moment, and waits for what it finds here
        self._due.set()

    def _flush(self) -> None:
        while self._due.wait() and not self._ended:
            self._due.clear()
            try:
                for stream in self.streams:
                    stream.flush()
                if (log := self._log) is not None:
                    log.flush()
                if self._lanes is not None:
                    self._lanes.flush()
            except (OSError, ValueError):
                pass  # closed meanwhile, or full: `end` tells

    @property
    def alone(self) -> bool:
        """Whether no thread but ours and core's own is there that may print."""
        return _count() <= (1 if self._flusher is None else 2)

    def write(self, stream: str, original: Any, data: bytes) -> None:
        """Pass on what was printed here: to the log, and to the terminal or an observer that shows it."""
        self._pass(stream, original, self._masks[stream].feed(data))

    def feed(self, step: str, attempt: int, stream: str, data: bytes) -> None:
        """Pass on what an attempt printed in another process; any thread may call it, for many attempts at a time."""
        self._beside().feed(step, attempt, stream, data)

    def open_attempt(self, step: str, attempt: int) -> None:
        """An attempt begins in another process."""
        self._beside().open(step, attempt)

    def forget_attempt(self, step: str, attempt: int) -> None:
        """All that an attempt printed will be fed once more, by one who goes on with it."""
        from core.logs import remove  # start-up time: few runs have another owner before

        remove(self._folder, step, attempt)
        if self.courier is not None:
            self.courier.forget(step, attempt)

    def deliver(self) -> None:
        """All attempts are over: others see their whole logs when they see the end of the run."""
        if self.courier is not None:
            self.courier.end()

    def close_attempt(self, step: str, attempt: int) -> None:
        """All that the attempt printed was fed."""
        if self._lanes is not None:
            self._lanes.close(step, attempt)

    def _beside(self) -> Lanes:
        if self._lanes is None:
            from core.lanes import Lanes  # start-up time: most runs have no other process

            self._lanes = Lanes(self._folder, self._limit, self._keep, self._fed, whole=bool(self._observers))
        return self._lanes

    def _fed(self, step: str, stream: str, data: bytes, *, named: bool) -> None:
        self._show(step, stream, self.originals[_NAMES.index(stream)], data, named=named)

    def _pass(self, stream: str, original: Any, data: bytes) -> None:
        if not data:
            return
        if self._step and self._limit and not self._failed:
            if self._log is None:
                self._log = LogFile(self._folder, self._step, self._attempt, self._limit)
            self._keep(self._log, data)
        self._show(self._step, stream, original, data)

    def _keep(self, log: LogFile, data: bytes | None = None) -> None:
        """Write to a log, or close it."""
        if self._failed and data is not None:
            return
        try:
            log.close() if data is None else log.write(data)
        except OSError as error:
            self._give_up(error)

    def _show(self, step: str, stream: str, original: Any, data: bytes, *, named: bool = False) -> None:
        """To an observer, else to the terminal. One that is gone (`run.py | head`) does not end a run."""
        if step and self._observers:
            text = data.decode(errors="replace")
            shown = [observer.output(step, stream, text) for observer in self._observers]  # each must hear of it
            if any(shown):
                return
        if original is None or stream in self._gone:
            return
        if named:
            data = _with_name(step, data, dim=_is_terminal(original) and not os.environ.get("NO_COLOR"))
        try:
            _pass_on(original, data)
        except (OSError, ValueError):
            self._gone.add(stream)

    def _give_up(self, error: OSError) -> None:
        if self._failed:
            return
        self._failed = True
        try:
            _pass_on(self.originals[1], f"core: step logs are no longer written: {error}\n".encode())
        except (OSError, ValueError, AttributeError):
            pass  # there is nowhere left to say it


class _Tee(io.RawIOBase):
    """The raw end of a stand-in stream."""

    def __init__(self, capture: Capture, name: str, original: Any) -> None:
        self._capture = capture
        self._name = name
        self._original = original
        self.text: io.TextIOWrapper | None = None
        """The text end."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if self.text is not None:
            self.text._CHUNK_SIZE = HELD if self._capture.alone else 1  # type: ignore[attr-defined]
        self._capture.write(self._name, self._original, bytes(data))
        return len(data)

    def isatty(self) -> bool:
        return _is_terminal(self._original)

    def fileno(self) -> int:
        if not hasattr(self._original, "fileno"):
            raise io.UnsupportedOperation("fileno")
        number: int = self._original.fileno()
        return number


class Buffer(io.BufferedWriter):
    """What a stand-in stream writes to; who closes the stream closes nothing: later steps print too."""

    closed = False  # asked at every `print`: a look at the class costs least

    def close(self) -> None:
        """Only write out what is held."""
        _flush(self)


class _Switch(io.TextIOBase):
    """Stands in while runs are at work in several threads: each thread's output goes to its own run."""

    def __init__(self, index: int) -> None:
        self._index = index

    def _stream(self) -> Any:
        stack = _captures.get(get_ident())
        if stack:
            return stack[-1].streams[self._index]
        found = beneath(self._index)  # a thread that a step started: nobody knows whose it is
        return sys.__stdout__ if found is self else found

    def write(self, text: str, /) -> int:
        stream = self._stream()
        return len(text) if stream is None else stream.write(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        if hasattr(stream := self._stream(), "flush"):
            stream.flush()

    def isatty(self) -> bool:
        return _is_terminal(self._stream())

    def __getattribute__(self, name: str) -> Any:
        """`buffer`, `encoding`, `errors`, `fileno` and the like are those of this thread's stream."""
        if name in _OF_STREAM:
            return getattr(object.__getattribute__(self, "_stream")(), name)
        return object.__getattribute__(self, name)


_NAMES = ("stdout", "stderr")
_OF_STREAM = frozenset({"buffer", "encoding", "errors", "fileno", "line_buffering", "newlines", "reconfigure"})
_lock = allocate_lock()
_captures: dict[int, list[Capture]] = {}  # by thread; the innermost of nested runs stands last
_switches = (_Switch(0), _Switch(1))


def beneath(index: int) -> Any:
    """The stdout (0) or stderr (1) to pass output on to: what stands there, but never what is another thread's run's.

    None where there is none.
    """
    now = getattr(sys, _NAMES[index])
    stack = _captures.get(get_ident())
    if stack:
        return stack[-1].streams[index] if now is _switches[index] else now
    others = list(_captures.values())
    if now is _switches[index] or any(now is capture.streams[index] for other in others for capture in other):
        return others[0][0].originals[index] if others else now
    return now


def forget() -> None:
    """In a process that was forked: the runs at work belong to its parent."""
    _captures.clear()


def point_handlers(old: tuple[Any, ...], new: Any) -> None:
    """Handlers of `logging` that hold an old stream would pass by the new one: point them there."""
    logging = sys.modules.get("logging")
    if logging is None or new is None:
        return
    for reference in list(logging._handlerList):
        handler = reference()
        stream = getattr(handler, "__dict__", {}).get("stream")  # not the last resort's property
        if stream is not None and any(stream is each for each in old) and hasattr(handler, "setStream"):
            try:
                handler.setStream(new)
            except (OSError, ValueError):
                handler.stream = new  # it could not flush the old one, which is closed


def _pass_on(original: Any, data: bytes) -> None:
    buffer = getattr(original, "buffer", None)
    if buffer is None:
        original.write(data.decode(getattr(original, "encoding", None) or "utf-8", "replace"))
    else:
        buffer.write(data)
    if hasattr(original, "flush"):
        original.flush()


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except (OSError, ValueError, AttributeError):
        pass  # closed, full, or none at all: whoever writes to it next finds out


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # none at all, one that can only write, one that is closed
        return False


def _text(raw: _Tee, original: Any) -> io.TextIOWrapper:
    """A text stream over `raw` that encodes and breaks lines as `original` does."""
    raw.text = io.TextIOWrapper(  # a class of our own would make `print` a tenth slower
        Buffer(raw, BUFFER),
        encoding=getattr(original, "encoding", None) or "utf-8",
        errors=getattr(original, "errors", None) or "backslashreplace",
        newline="" if os.linesep == "\n" else None,
        line_buffering=bool(getattr(original, "line_buffering", False)) or _is_terminal(original),
    )
    return raw.text


def _with_name(step: str, data: bytes, *, dim: bool) -> bytes:
    """Whole lines, each with its step's name before it."""
    name = f"\x1b[2m[{step}]\x1b[22m ".encode() if dim else f"[{step}] ".encode()
    return name + data.removesuffix(b"\n").replace(b"\n", b"\n" + name) + b"\n"


def _silent_output() -> Any:
    from core.ports.observer import Observer  # start-up time: most runs have no observer of output

    return Observer.output
