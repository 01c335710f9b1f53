"""A worker's stdin, stdout and stderr: pipes to the driver at file descriptors 1 and 2, no keyboard at 0."""

from __future__ import annotations

import faulthandler
import io
import os
import sys
from threading import Event, RLock, Thread

from core.capture import Buffer, point_handlers
from core.context import running
from core.errors import UsageError
from core.mask import MaskedFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

BUFFER = 1 << 16
TICK = 0.5
"""Seconds between flushes of what a step printed."""
FLUSHER = "core-flush"
"""Name of the thread that does so."""


class Streams:
    """Stands where `core.capture.Capture` stands in the driver: all that the process writes is the attempt's."""

    def __init__(self, stdout: int, stderr: int) -> None:
        self.process = os.getpid()
        """Id of the process that the attempts belong to."""
        null = os.open(os.devnull, os.O_RDONLY)
        self._kept = (null, stdout, stderr)
        for fd in self._kept:
            os.set_inheritable(fd, False)  # noqa: FBT003 - the name says it
        os.dup2(null, 0)
        self._keyboard = _Keyboard(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
        self._lock = RLock()
        self._streams: list[Any] = [None, None]
        self._raws = [MaskedFile(1), MaskedFile(2)]
        self._began = Event()
        self.restore()
        faulthandler.enable(2)  # a crash leaves the stack in the step's log
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._after_fork)
        Thread(target=self._tick, name=FLUSHER, daemon=True).start()

    def restore(self) -> None:
        """What a step closed, pointed elsewhere or replaced is there again."""
        for number, fd in enumerate(self._kept):
            os.dup2(fd, number)
        for index, stream in enumerate(self._streams):
            if stream is None or _is_closed(stream):
                self._streams[index] = self._open(index)
        out, error = self._streams
        if sys.stdout is not out or sys.stderr is not error:
            old = (sys.stdout, sys.__stdout__), (sys.stderr, sys.__stderr__)
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = out, error  # type: ignore[misc]
            for before, now in zip(old, self._streams, strict=True):
                point_handlers(tuple(filter(None, before)), now)
        sys.stdin = self._keyboard
        if sys.breakpointhook is sys.__breakpointhook__:
            sys.breakpointhook = _no_debugger

    def begin(self, step: str, attempt: int) -> None:
        """What is written from now on belongs to this attempt: the driver, which reads it, knows which one it is."""
        del step, attempt
        self._began.set()

    def end(self) -> None:
        """The attempt is over: write out what it printed."""
        self._began.clear()
        self.flush()
        for raw in self._raws:
            raw.end()

    def flush(self) -> None:
        """Write out what Python's streams hold."""
        for stream in (sys.stdout, sys.stderr, *self._streams):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError, RuntimeError):
                continue  # closed, somebody else's, or in the midst of a write

    def _open(self, index: int) -> io.TextIOWrapper:
        raw = self._raws[index] = _Errors(self) if index else MaskedFile(1)
        buffer = Buffer(raw, BUFFER)  # and no text stream of our own: each `print` would take a quarter longer
        return io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace", line_buffering=bool(index))

    def out(self) -> None:
        """What was printed before an error message stands before it."""
        try:
            self._streams[0].flush()
        except (OSError, ValueError, RuntimeError):
            return

    def _tick(self) -> None:
        """The thread's life: a step that prints seldom is read within `TICK`, one that prints much is not slowed."""
        pause = Event()
        while True:
            self._began.wait()
            pause.wait(TICK)
            with self._lock:
                for stream in self._streams:
                    try:
                        stream.flush()
                    except (OSError, ValueError):
                        continue

    def _before_fork(self) -> None:
        self._lock.acquire()
        if os.getpid() == self.process:
            self.flush()  # else the child would print it once more

    def _after_fork(self) -> None:
        self._lock.release()


class _Errors(MaskedFile):
    """File descriptor 2."""

    def __init__(self, streams: Streams) -> None:
        super().__init__(2)
        self._streams = streams

    def write(self, data: Any, /) -> int:
        """What was printed before stands before it."""
        self._streams.out()
        return super().write(data)


class _Keyboard(io.TextIOWrapper):
    """Ends at once for programs that look for input; says what to do to steps that ask a person."""

    def readline(self, *_: Any) -> NoReturn:
        """What `input()` calls."""
        raise _no_terminal("input()")


def _no_debugger(*args: Any, **keywords: Any) -> Any:
    """In the place of `breakpoint()`, unless `PYTHONBREAKPOINT` names a debugger that needs no keyboard."""
    if os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*args, **keywords)  # noqa: T100 - the user's call
    raise _no_terminal("breakpoint()")


def _no_terminal(what: str) -> UsageError:
    step = running()
    where = f"step {step.step!r}" if step else "a step"
    return UsageError(
        f"{what} in {where}: a worker process has no terminal",
        "run with `--workers 1`, which calls the steps in this process",
    )


def _is_closed(stream: Any) -> bool:
    try:
        return bool(stream.closed or stream.buffer.raw.closed)
    except ValueError:  # detached
        return True
