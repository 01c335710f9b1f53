"""Output of attempts at work in other processes: each to a log of its own, and line by line to the terminal."""

from __future__ import annotations

from _thread import RLock

from core.logs import LogFile
from core.mask import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Show(Protocol):
        """Passes output on to whoever shows it."""

        def __call__(self, step: str, stream: str, data: bytes, *, named: bool) -> None:
            """`named`: each line begins with its step's name, for others stand beside it."""


LINE = 1 << 16
"""Bytes of a line without an end that are held back."""


class Lane:
    """One attempt at work."""

    def __init__(self, step: str, log: LogFile) -> None:
        self.step = step
        self.log = log
        self.masks: dict[str, Stream] = {}
        self.partial: dict[str, bytes] = {}
        """By stream: the line that has no end yet, or the last state of it (a progress bar)."""


class Lanes:
    """All attempts that are at work in other processes. An attempt alone is passed on as it prints."""

    def __init__(
        self, folder: str, limit: int, keep: Callable[[LogFile, bytes | None], None], show: Show, *, whole: bool
    ) -> None:
        """`keep` writes to a log, or closes it (None), and never raises.

        `whole`: even an attempt alone is shown by whole lines only.
        """
        self._folder = folder
        self._limit = limit
        self._keep = keep
        self._show = show
        self._whole = whole
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._together = False  # several were at work since last there was none
        self._broken: tuple[Lane, str] | None = None  # whose line without an end stands on which stream
        self._lock = RLock()

    def open(self, step: str, attempt: int) -> Lane:
        """The lane of an attempt; it is at work from now on."""
        with self._lock:
            lane = self._lanes.get((step, attempt))
            if lane is None:
                lane = self._lanes[step, attempt] = Lane(step, LogFile(self._folder, step, attempt, self._limit))
                self._together = self._together or len(self._lanes) > 1
            return lane

    def feed(self, step: str, attempt: int, stream: str, data: bytes) -> None:
        """What an attempt printed to `stream` (`stdout`, `stderr`)."""
        lane = self.open(step, attempt)
        mask = lane.masks.get(stream)
        if mask is None:
            mask = lane.masks[stream] = Stream()
        self._take(lane, stream, mask.feed(data))

    def flush(self) -> None:
        """Let readers of the logs see all that was fed. Raises OSError."""
        for lane in list(self._lanes.values()):
            lane.log.flush()

    def close(self, step: str, attempt: int) -> None:
        """All that the attempt printed was fed."""
        with self._lock:
            lane = self._lanes.pop((step, attempt), None)
            if lane is None:
                return
            for stream, mask in lane.masks.items():
                self._take(lane, stream, mask.end(), ended=True)
            self._together = self._together and bool(self._lanes)
        self._keep(lane.log, None)

    def close_all(self) -> None:
        """The run is over."""
        for step, attempt in list(self._lanes):
            self.close(step, attempt)

    def _take(self, lane: Lane, stream: str, data: bytes, *, ended: bool = False) -> None:
        if data:
            self._keep(lane.log, data)
        with self._lock:
            lines = self._together or self._whole
            if lines or lane.partial:
                data = _lines(lane, stream, data, ended=ended)
            if not data:
                return
            if self._broken is not None and (lines or self._broken[0] is not lane):
                broken, on = self._broken
                self._show(broken.step, on, b"\n", named=False)
            self._show(lane.step, stream, data, named=self._together)
            self._broken = None if data.endswith(b"\n") else (lane, stream)


def _lines(lane: Lane, stream: str, data: bytes, *, ended: bool) -> bytes:
    """The whole lines of what arrived so far, each in its last state; the rest stays with the lane."""
    data = lane.partial.pop(stream, b"") + data
    cut = data.rfind(b"\n") + 1
    lines, rest = data[:cut], data[cut:]
    if b"\r" in rest:
        rest = _state(rest) + (b"\r" if rest.endswith(b"\r") else b"")
    if len(rest) > LINE or (ended and rest):
        lines, rest = lines + rest + b"\n", b""
    if rest:
        lane.partial[stream] = rest
    if b"\r" in lines:
        lines = b"\n".join(map(_state, lines.split(b"\n")))
    return lines


def _state(line: bytes) -> bytes:
    """What a terminal shows of a line that was written over."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]
