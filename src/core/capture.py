"""What a step prints goes to its own log as well as to the terminal; text passes through at C speed."""

from __future__ import annotations

import io
import os
import sys
from _thread import allocate_lock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, BinaryIO, Self

    from core.ports.observer import Observer

BUFFER = 1 << 16


class Capture:
    """Stands in for `sys.stdout` and `sys.stderr` while a run is at work in this thread."""

    def __init__(self, folder: str, observers: Sequence[Observer] = ()) -> None:
        self._folder = folder
        self._observers = [o for o in observers if type(o).output is not _silent_output()]
        self._step = ""
        self._path = ""
        self._log: BinaryIO | None = None
        self._failed = False
        self._gone: set[str] = set()
        self.originals: list[Any] = []
        """What stood in `sys.stdout` and `sys.stderr` before; None where there was nothing."""
        self.streams: list[Any] = []
        """What stands in for each."""
        self.process = os.getpid()
        """Id of the process that the run belongs to."""

    def __enter__(self) -> Self:
        with _lock:
            stack = _captures.get(get_ident(), [])
            found = [beneath(index) for index in (0, 1)]
            self.originals = found
            self.streams = [_text(_Tee(self, name, found[index]), found[index]) for index, name in enumerate(_NAMES)]
            _captures[get_ident()] = [*stack, self]
            for index, name in enumerate(_NAMES):
                now = getattr(sys, name)
                new = self.streams[index] if len(_captures) == 1 else _switches[index]
                setattr(sys, name, new)
                point_handlers((now, found[index]), new)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
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
        self._step = step
        self._path = os.path.join(self._folder, f"{step}.{attempt}.log")

    def end(self) -> None:
        """The attempt is over: write out what it printed. Never raises: a closed stream has nothing to write out."""
        for stream in self.streams:
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        self._step = ""
        self._path = ""
        if self._log is not None:
            log, self._log = self._log, None
            try:
                log.close()
            except OSError as error:
                self._give_up(error)

    def tick(self) -> None:
        """Write out what is buffered, so that `core runs logs` sees it; called from the heartbeat's thread."""
        log = self._log
        try:
            for stream in self.streams:
                stream.flush()
            if log is not None:
                log.flush()
        except (OSError, ValueError):
            pass  # closed meanwhile, or full: `end` tells

    def write(self, stream: str, original: Any, data: bytes) -> None:
        """Pass on what was printed: to the log, and to the terminal or an observer that shows it.

        A terminal that is gone (`run.py | head`) does not end a run: the log goes on.
        """
        if self._path and not self._failed:
            try:
                if self._log is None:
                    os.makedirs(self._folder, exist_ok=True)
                    self._log = open(self._path, "ab", BUFFER)  # noqa: SIM115 - closed by `end`
                self._log.write(data)
            except OSError as error:
                self._give_up(error)
        if self._step and self._observers:
            text = data.decode(errors="replace")
            shown = [observer.output(self._step, stream, text) for observer in self._observers]  # each must hear of it
            if any(shown):
                return
        if original is None or stream in self._gone:
            return
        try:
            _pass_on(original, data)
        except (OSError, ValueError):
            self._gone.add(stream)

    def feed(self, step: str, attempt: int, stream: str, data: bytes) -> None:
        """What an attempt printed in another process; the log first, then the terminal or an observer that shows it."""
        try:
            os.makedirs(self._folder, exist_ok=True)
            with open(os.path.join(self._folder, f"{step}.{attempt}.log"), "ab") as log:
                log.write(data)
        except OSError as error:
            self._give_up(error)
        _pass_on(self.originals[_NAMES.index(stream)], data)

    def close_attempt(self, step: str, attempt: int) -> None:
        """All that the attempt printed was fed."""

    def _give_up(self, error: OSError) -> None:
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

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._capture.write(self._name, self._original, bytes(data))
        return len(data)

    def isatty(self) -> bool:
        return _is_terminal(self._original)

    def fileno(self) -> int:
        if not hasattr(self._original, "fileno"):
            raise io.UnsupportedOperation("fileno")
        number: int = self._original.fileno()
        return number


class _StandIn(io.TextIOWrapper):
    """The text end of a stand-in stream; who closes it closes nothing: later steps print too."""

    def close(self) -> None:
        try:
            self.flush()
        except (OSError, ValueError):
            pass  # detached, or its terminal is gone


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


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # none at all, one that can only write, one that is closed
        return False


def _text(raw: _Tee, original: Any) -> _StandIn:
    """A text stream over `raw` that encodes and breaks lines as `original` does.

    `write_through`: nothing stays in the text layer, which is not safe to flush from the heartbeat's thread; the
    buffered layer below it is.
    """
    return _StandIn(
        io.BufferedWriter(raw, BUFFER),
        encoding=getattr(original, "encoding", None) or "utf-8",
        errors=getattr(original, "errors", None) or "backslashreplace",
        newline="" if os.linesep == "\n" else None,
        line_buffering=bool(getattr(original, "line_buffering", False)) or _is_terminal(original),
        write_through=True,
    )


def _silent_output() -> Any:
    from core.ports.observer import Observer  # start-up time: most runs have no observer of output

    return Observer.output
