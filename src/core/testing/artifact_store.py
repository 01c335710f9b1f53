"""Double of the artifact store: blobs in memory."""

from __future__ import annotations

import itertools
import time
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar

from core.errors import NotFoundError
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
