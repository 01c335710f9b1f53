"""What a step prints goes to its own log as well as to the terminal; text passes through at C speed."""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, BinaryIO, Self, TextIO

    from core.ports.observer import Observer

BUFFER = 1 << 16


class Capture:
    """Stands in for `sys.stdout` and `sys.stderr` while a run is at work in this process."""

    def __init__(self, folder: str, observers: Sequence[Observer] = ()) -> None:
        self._folder = folder
        self._observers = [o for o in observers if type(o).output is not _silent_output()]
        self._step = ""
        self._path = ""
        self._log: BinaryIO | None = None
        self._failed = False
        self._originals: tuple[TextIO, TextIO] | None = None
        self._streams: tuple[TextIO, TextIO] | None = None
        self._handlers: list[tuple[Any, TextIO]] = []

    def __enter__(self) -> Self:
        self._originals = (sys.stdout, sys.stderr)
        out, err = (
            _Tee(self, name, stream) for name, stream in zip(("stdout", "stderr"), self._originals, strict=True)
        )
        self._streams = (_text(out, sys.stdout), _text(err, sys.stderr))
        sys.stdout, sys.stderr = self._streams
        self._redirect_logging()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for handler, stream in self._handlers:
            handler.setStream(stream)
        if self._originals is not None and self._streams is not None:
            # Whoever replaced the streams meanwhile keeps them.
            if sys.stdout is self._streams[0]:
                sys.stdout = self._originals[0]
            if sys.stderr is self._streams[1]:
                sys.stderr = self._originals[1]

    def _redirect_logging(self) -> None:
        """Handlers that hold the real streams would pass by: point them here for the time of the run."""
        logging = sys.modules.get("logging")
        if logging is None or self._streams is None or self._originals is None:
            return
        for reference in list(logging._handlerList):
            handler = reference()
            for original, stream in zip(self._originals, self._streams, strict=True):
                if getattr(handler, "stream", None) is original and hasattr(handler, "setStream"):
                    self._handlers.append((handler, original))
                    handler.setStream(stream)

    def begin(self, step: str, attempt: int) -> None:
        """What is printed from now on belongs to this attempt."""
        self._step = step
        self._path = os.path.join(self._folder, f"{step}.{attempt}.log")

    def end(self) -> None:
        """The attempt is over: write out what it printed."""
        if self._streams is not None:
            for stream in self._streams:
                stream.flush()
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
        streams, log = self._streams, self._log
        try:
            for stream in streams or ():
                stream.flush()
            if log is not None:
                log.flush()
        except (OSError, ValueError):
            pass  # closed meanwhile, or full: `end` tells

    def write(self, stream: str, original: TextIO, data: bytes) -> None:
        """Pass on what was printed: to the log, and to the terminal or an observer that shows it."""
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
        buffer = getattr(original, "buffer", None)
        if buffer is None:
            original.write(data.decode(original.encoding or "utf-8", "replace"))
        else:
            buffer.write(data)
        original.flush()

    def _give_up(self, error: OSError) -> None:
        self._failed = True
        if self._originals is not None:
            self._originals[1].write(f"core: step logs are no longer written: {error}\n")


class _Tee(io.RawIOBase):
    """The raw end of a stand-in stream."""

    def __init__(self, capture: Capture, name: str, original: TextIO) -> None:
        self._capture = capture
        self._name = name
        self._original = original

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._capture.write(self._name, self._original, bytes(data))
        return len(data)

    def isatty(self) -> bool:
        return self._original.isatty()

    def fileno(self) -> int:
        return self._original.fileno()


def _text(raw: _Tee, original: TextIO) -> TextIO:
    """A text stream over `raw` that encodes and breaks lines as `original` does.

    `write_through`: nothing stays in the text layer, which is not safe to flush from the heartbeat's thread; the
    buffered layer below it is.
    """
    return io.TextIOWrapper(
        io.BufferedWriter(raw, BUFFER),
        encoding=getattr(original, "encoding", None) or "utf-8",
        errors=getattr(original, "errors", None) or "backslashreplace",
        newline="" if os.linesep == "\n" else None,
        line_buffering=bool(getattr(original, "line_buffering", False)) or original.isatty(),
        write_through=True,
    )


def _silent_output() -> Any:
    from core.ports.observer import Observer  # start-up time: most runs have no observer of output

    return Observer.output
