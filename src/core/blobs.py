"""Many blobs of one artifact at a time, to and from a store that is far away: each costs the way there and back."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future
    from typing import BinaryIO

    from core.ports.artifact_store import ArtifactStore, Upload

WIDTH = 32
"""Requests under way."""
AHEAD = 2 * WIDTH
"""Blobs that wait to be sent, or are here before they are wanted."""


class Sending:
    """Publishes uploads in threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WIDTH, "core-sending")
        self._under_way: deque[tuple[Future[None], Upload]] = deque()

    def commit(self, upload: Upload, digest: str) -> None:
        """Publish `upload` soon; raises what an earlier one raised."""
        if len(self._under_way) == AHEAD:
            self._next()
        self._under_way.append((self._pool.submit(_commit, upload, digest), upload))

    def done(self) -> None:
        """Wait until all are published; raises what the first one that failed raised."""
        while self._under_way:
            self._next()

    def _next(self) -> None:
        self._under_way.popleft()[0].result()

    def close(self) -> None:
        """Call off what has not begun, and wait for the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for future, upload in self._under_way:
            if future.cancelled():
                upload.abort()
        self._under_way.clear()


def _commit(upload: Upload, digest: str) -> None:
    try:
        upload.commit(digest)
    except BaseException:
        upload.abort()
        raise


class Fetching:
    """Opens blobs in threads, before they are wanted."""

    def __init__(self, store: ArtifactStore, digests: Iterable[str]) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(WIDTH, "core-fetching")
        self._left = deque(digests)
        self._coming: dict[str, Future[BinaryIO]] = {}
        self._ask()

    def open(self, digest: str) -> BinaryIO:
        """The blob's file; raises what the store raises."""
        coming = self._coming.pop(digest, None)
        self._ask()
        return self._store.open(digest) if coming is None else coming.result()

    def _ask(self) -> None:
        while self._left and len(self._coming) < AHEAD:
            digest = self._left.popleft()
            self._coming[digest] = self._pool.submit(self._store.open, digest)

    def close(self) -> None:
        """Call off what was not wanted after all."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for coming in self._coming.values():
            if not coming.cancelled() and coming.exception() is None:
                coming.result().close()


def have_all(store: ArtifactStore, digests: Iterable[str]) -> bool:
    """Whether the store has every blob."""
    with ThreadPoolExecutor(WIDTH, "core-asking") as pool:
        return all(pool.map(store.exists, digests))
