"""What an attempt printed, in files: its beginning and its newest part are kept, what lies between is left out.

`train.1.log` is the beginning of what attempt 1 of `train` printed, at most half of the limit. What follows lies in
parts of an eighth, `train.1+33554432.log`, named by where they begin in all that was printed; the oldest are removed.
No step's name has a `+` in it.
"""

from __future__ import annotations

import os
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

LIMIT = 64 << 20
"""Bytes kept of what one attempt prints, unless the settings say otherwise."""
BUFFER = 1 << 16
PARTS = 4
"""Parts kept of what follows the beginning."""
_LONGEST = 200
"""Bytes of a file's name that may be a step's own; a file system takes 255 in all."""


def stem(step: str, attempt: int) -> str:
    """What the names of an attempt's files begin with."""
    name = step.encode()
    if len(name) > _LONGEST:
        from blake3 import blake3  # start-up time: few steps have such names

        step = f"{name[:160].decode(errors='ignore')}~{blake3(name).hexdigest(8)}"
    return f"{step}.{attempt}"


class LogFile:
    """The writer of one attempt's log. Files appear when there is something to write; any thread may write."""

    def __init__(self, folder: str, step: str, attempt: int, limit: int = LIMIT) -> None:
        """A `limit` of 0 keeps nothing."""
        self._folder = folder
        self._stem = stem(step, attempt)
        self._limit = limit
        self._half = max(limit // 2, 1)
        self._part = max(limit // (2 * PARTS), 1)
        self._file: BinaryIO | None = None
        self._room = 0  # bytes that the open file still takes
        self._end = 0  # bytes printed so far
        self._lock = RLock()  # a signal's handler may print while its thread is in here

    def write(self, data: bytes) -> None:
        """Keep `data`, or of much of it the newest part."""
        if not self._limit:
            return
        with self._lock:
            file = self._file or self._open()
            if len(data) <= self._room:
                file.write(data)
                self._room -= len(data)
                self._end += len(data)
            else:
                self._spread(memoryview(data))

    def flush(self) -> None:
        """Let readers see what was written."""
        with self._lock:
            if self._file is not None:
                self._file.flush()

    def close(self) -> None:
        """Write out what is buffered; a later `write` goes on."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def _open(self) -> BinaryIO:
        """Go on where an earlier writer of this attempt (a hook comes after its step) ended."""
        path = os.path.join(self._folder, f"{self._stem}.log")
        os.makedirs(self._folder, exist_ok=True)
        file = self._file = open(path, "ab", BUFFER)  # noqa: SIM115 - closed by `close`
        self._end = file.tell()
        self._room = self._half - self._end
        parts = offsets(self._folder).get(self._stem, ())[1:] if self._end else ()
        if parts:
            file.close()
            file = self._file = open(self._path(parts[-1]), "ab", BUFFER)  # noqa: SIM115 - closed by `close`
            self._room = self._part - file.tell()
            self._end = parts[-1] + file.tell()
        return file

    def _spread(self, data: memoryview) -> None:
        """Write more than the open file takes."""
        while data:
            if self._room <= 0:
                passed = max((len(data) - self._part * PARTS) // self._part * self._part, 0)  # it would be removed soon
                data = data[passed:]
                self._end += passed
                self._turn()
            piece = data[: self._room]
            if self._file is not None:
                self._file.write(piece)
            self._room -= len(piece)
            self._end += len(piece)
            data = data[len(piece) :]

    def _turn(self) -> None:
        """Begin the next part, and remove the oldest."""
        if self._file is not None:
            self._file.close()
        self._file = None
        for offset in offsets(self._folder).get(self._stem, ())[1 : 1 - PARTS]:
            try:
                os.unlink(self._path(offset))
            except FileNotFoundError:
                continue  # a process that the step forked was at it, too
        self._file = open(self._path(self._end), "ab", BUFFER)  # noqa: SIM115 - closed by `close`
        self._room = self._part

    def _path(self, offset: int) -> str:
        return place(self._folder, self._stem, offset)


def place(folder: str, log: str, offset: int) -> str:
    """Path of the file of `log` (a `stem`) that begins at `offset`."""
    return os.path.join(folder, f"{log}+{offset}.log" if offset else f"{log}.log")


def offsets(folder: str) -> dict[str, list[int]]:
    """By the stem of its name: where each file of a log begins, 0 first; one listing of the folder tells all logs."""
    found: dict[str, list[int]] = {}
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return found
    for name in names:
        base, dot, kind = name.rpartition(".")
        if not dot or kind != "log":
            continue
        whole, plus, offset = base.rpartition("+")
        if plus and offset.isdecimal():
            found.setdefault(whole, []).append(int(offset))
        else:
            found.setdefault(base, []).append(0)
    for each in found.values():
        each.sort()
    return found


def remove(folder: str, step: str, attempt: int) -> None:
    """Forget what an attempt printed: it will be written anew from its beginning."""
    name = stem(step, attempt)
    for offset in offsets(folder).get(name, ()):
        try:
            os.unlink(place(folder, name, offset))
        except FileNotFoundError:
            continue  # somebody else was at it


class Reader:
    """Reads an attempt's log, also while it is written, and goes on where it stopped. It may not exist yet."""

    def __init__(self, folder: str, step: str, attempt: int) -> None:
        self._folder = folder
        self._stem = stem(step, attempt)
        self._at = 0  # bytes of all that was printed that are read or known to be left out
        self._broken = False  # the last line that was read has no end

    def new(self, found: dict[str, list[int]] | None = None) -> Iterator[bytes]:
        """What was printed since the last call, with a line where something is left out.

        `found` is what `offsets` gives, for who reads many logs at a time.
        """
        every = (offsets(self._folder) if found is None else found).get(self._stem, ())
        for offset, following in zip(every, [*every[1:], None], strict=False):
            if following is not None and following <= self._at:
                continue
            try:
                file = open(self._path(offset), "rb")  # noqa: SIM115 - closed below
            except FileNotFoundError:
                continue  # removed meanwhile
            with file:
                if offset > self._at:
                    yield self._gap(offset - self._at)
                    self._at = offset
                file.seek(self._at - offset)
                while data := file.read(BUFFER):
                    self._at += len(data)
                    self._broken = not data.endswith(b"\n")
                    yield data

    def tail(self, lines: int) -> bytes:
        """The last lines of what was printed so far; `new` goes on after them."""
        every = offsets(self._folder).get(self._stem, [])
        kept: list[bytes] = []
        count, start = 0, None
        for offset in reversed(every):
            try:
                size = os.path.getsize(self._path(offset))
            except FileNotFoundError:
                continue
            if start is None:
                self._at = offset + size
            elif offset + size < start:
                kept.append(self._gap(start - offset - size, broken=_broken(self._path(offset), size)))
                count += 1
            start = offset
            with open(self._path(offset), "rb") as file:
                while size > 0 and count <= lines:
                    length = min(BUFFER, size)
                    size -= length
                    file.seek(size)
                    kept.append(file.read(length))
                    count += kept[-1].count(b"\n")
            if count > lines:
                break
        text = b"".join(reversed(kept))
        self._broken = bool(text) and not text.endswith(b"\n")
        last = text.split(b"\n")
        ended = [] if last[-1] else [last.pop()]
        return b"\n".join([*last[max(len(last) - lines, 0) :], *ended]) if lines and last else b""

    def _gap(self, size: int, *, broken: bool | None = None) -> bytes:
        end = "\n" if (self._broken if broken is None else broken) else ""
        return f"{end}... {size:,} bytes left out ...\n".encode()

    def _path(self, offset: int) -> str:
        return place(self._folder, self._stem, offset)


def _broken(path: str, size: int) -> bool:
    """Whether the file ends within a line."""
    with open(path, "rb") as file:
        file.seek(max(size - 1, 0))
        return file.read(1) not in {b"", b"\n"}


def read(folder: str, step: str, attempt: int) -> str:
    """What an attempt printed as text, with a line that says how much is left out; empty when it printed nothing."""
    return b"".join(Reader(folder, step, attempt).new()).decode(errors="replace")
