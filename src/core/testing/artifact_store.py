"""Doubles of the artifact store: one in memory, and a wrapper that fails when told to."""

from __future__ import annotations

import errno
import itertools
import time
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar

from core.errors import NotFoundError, StoreError
from core.ports.artifact_store import ArtifactStore, Blob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from core.ports.artifact_store import Upload

_numbers = itertools.count(1)


class MemoryArtifactStore(ArtifactStore):
    """Keeps blobs in a dict; tests may look into `blobs` and spoil them."""

    flavor: ClassVar[str] = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.uri = f"test://{next(_numbers)}"
        self.blobs: dict[str, bytes] = {}
        """Bytes by digest."""
        self.times: dict[str, float] = {}
        """Seconds since 1970 of each publication."""

    def begin(self) -> Upload:
        """Start an upload."""
        return _MemoryUpload(self)

    def open(self, digest: str) -> BinaryIO:
        """The blob's bytes."""
        if digest not in self.blobs:
            raise NotFoundError(f"artifact {digest} is not in {self.uri}")
        return BytesIO(self.blobs[digest])

    def delete(self, digest: str) -> None:
        """Remove the blob."""
        self.blobs.pop(digest, None)

    def list(self) -> Iterator[Blob]:
        """Every blob."""
        for digest, data in list(self.blobs.items()):
            yield Blob(digest, len(data), self.times[digest])


class _MemoryUpload:
    """Collects bytes."""

    def __init__(self, store: MemoryArtifactStore) -> None:
        self._store = store
        self._data = bytearray()

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append `data`."""
        before = len(self._data)
        self._data += data
        return len(self._data) - before

    def commit(self, digest: str) -> None:
        """Publish."""
        self._store.blobs[digest] = bytes(self._data)
        self._store.times[digest] = time.time()

    def abort(self) -> None:
        """Drop the bytes."""
        self._data.clear()


class FaultyArtifactStore(ArtifactStore):
    """Another store, whose writes (of bytes, and publications) are counted; the `fail_nth_write`-th raises.

    The error is what a store makes of `error`: a `StoreError` with it as its cause.
    """

    flavor: ClassVar[str] = "faulty"

    def __init__(self, inner: ArtifactStore, fail_nth_write: int = 1, error: Exception | None = None) -> None:
        super().__init__()
        self.inner = inner
        self.uri = inner.uri
        self.error = error or OSError(errno.ENOSPC, "No space left on device")
        self.left = fail_nth_write
        """Writes until the failure; 0 and below never fail again."""

    def count(self) -> None:
        """Count one write; raise when its number has come."""
        self.left -= 1
        if self.left == 0:
            raise StoreError(
                f"cannot write to artifact store {self.uri!r}: {self.error}", "a test wanted this"
            ) from self.error

    def begin(self) -> Upload:
        """Start an upload that counts."""
        return _FaultyUpload(self, self.inner.begin())

    def open(self, digest: str) -> BinaryIO:
        """As the inner store."""
        return self.inner.open(digest)

    def path(self, digest: str) -> str | None:
        """As the inner store."""
        return self.inner.path(digest)

    def delete(self, digest: str) -> None:
        """As the inner store."""
        self.inner.delete(digest)

    def list(self) -> Iterator[Blob]:
        """As the inner store."""
        return self.inner.list()


class _FaultyUpload:
    """Counts each call before it hands it on."""

    def __init__(self, store: FaultyArtifactStore, inner: Upload) -> None:
        self._store = store
        self._inner = inner

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append `data`, or fail."""
        self._store.count()
        return self._inner.write(data)

    def commit(self, digest: str) -> None:
        """Publish, or fail."""
        self._store.count()
        self._inner.commit(digest)

    def abort(self) -> None:
        """Drop the bytes."""
        self._inner.abort()
