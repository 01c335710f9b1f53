"""A file whose bytes come in ranges: the first one tells how many there are, later ones travel side by side."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future
    from typing import BinaryIO

PART = 64 << 20
"""Bytes of a request: most artifacts are smaller. Servers that are no S3 may read the whole object for each."""
AHEAD = 2
"""Requests under way, beside the part that is being read: so many parts are in memory."""
AT_ONCE = 1 << 20
"""Bytes that small reads take from a part at once."""


class Reader(io.RawIOBase):
    """Reads from the start to the end; a range that fails was tried again before, so an error here is the last word."""

    def __init__(
        self,
        fetch: Callable[[int, int], Coroutine[Any, Any, tuple[bytearray, int]]],
        loop: asyncio.AbstractEventLoop,
        trouble: Callable[[str, BaseException], Exception],
    ) -> None:
        """`fetch(start, length)` gives at most `length` bytes, and how many the object has; `trouble` makes errors."""
        super().__init__()
        self._fetch, self._loop, self._trouble = fetch, loop, trouble
        self._coming: deque[Future[tuple[bytearray, int]]] = deque()
        self._now = memoryview(b"")
        self._next = 0
        self._size = 1

    def opened(self) -> BinaryIO:
        """The file, once its first part is here; raises `FileNotFoundError`."""
        self._ask()
        self._advance()
        return io.BufferedReader(self, AT_ONCE) if self._coming else io.BytesIO(self._now)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the part at hand; waits for the next one when it is used up."""
        if not self._now and self._coming:
            self._advance()
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._now))
        view[:count] = self._now[:count]
        self._now = self._now[count:]
        return count

    def _advance(self) -> None:
        """Take the next part, and ask for what will be wanted after it."""
        self._now = memoryview(b"")  # the memory of the last one is free while we wait
        try:
            data, self._size = self._coming.popleft().result()
        except FileNotFoundError:
            raise
        except Exception as error:  # border of a library
            raise self._trouble("read from", error) from error
        self._now = memoryview(data)
        while len(self._coming) < AHEAD and self._next < self._size:
            self._ask()

    def _ask(self) -> None:
        start, self._next = self._next, self._next + PART
        self._coming.append(asyncio.run_coroutine_threadsafe(self._fetch(start, PART), self._loop))

    def close(self) -> None:
        """Call off what is under way."""
        for future in self._coming:
            future.cancel()
        self._coming.clear()
        super().close()
