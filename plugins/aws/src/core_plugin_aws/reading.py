"""A file whose bytes come in ranges: the first one tells whether there are more, later ones travel side by side."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future
    from typing import BinaryIO

HEAD = 8 << 20
"""Bytes of the first request: most artifacts are smaller."""
PART = 8 << 20
"""Bytes of each later one."""
AHEAD = 4
"""Requests under way."""


class Reader(io.RawIOBase):
    """Reads from the start to the end; a range that fails was tried again before, so an error here is the last word."""

    def __init__(
        self,
        fetch: Callable[[int, int], Coroutine[Any, Any, bytes]],
        loop: asyncio.AbstractEventLoop,
        trouble: Callable[[str, BaseException], Exception],
    ) -> None:
        """`fetch(start, length)` gives at most `length` bytes; `trouble(doing, error)` makes the error to raise."""
        super().__init__()
        self._fetch, self._loop, self._trouble = fetch, loop, trouble
        self._coming: deque[Future[bytes]] = deque()
        self._now = memoryview(b"")
        self._next = 0
        self._ended = False

    def opened(self) -> BinaryIO:
        """The file, once its first bytes are here; raises `FileNotFoundError`."""
        head = self._take(self._ask(HEAD))
        if len(head) < HEAD:
            return io.BytesIO(head)
        self._now = memoryview(head)
        for _ in range(AHEAD):
            self._coming.append(self._ask(PART))
        return io.BufferedReader(self, PART)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the range at hand; waits for the next one when it is used up."""
        if not self._now and not self._ended:
            self._advance()
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._now))
        view[:count] = self._now[:count]
        self._now = self._now[count:]
        return count

    def _advance(self) -> None:
        data = self._take(self._coming.popleft())
        self._now = memoryview(data)
        if len(data) < PART:
            self._ended = True
            self._drop()
        else:
            self._coming.append(self._ask(PART))

    def _ask(self, length: int) -> Future[bytes]:
        start, self._next = self._next, self._next + length
        return asyncio.run_coroutine_threadsafe(self._fetch(start, length), self._loop)

    def _take(self, future: Future[bytes]) -> bytes:
        try:
            return future.result()
        except FileNotFoundError:
            raise
        except Exception as error:  # border of a library
            raise self._trouble("read from", error) from error

    def _drop(self) -> None:
        """What lies behind the end, or is not wanted any more."""
        for future in self._coming:
            future.cancel()
        self._coming.clear()

    def close(self) -> None:
        """Call off what is under way."""
        self._drop()
        super().close()
