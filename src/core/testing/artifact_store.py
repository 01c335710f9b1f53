"""Double of the artifact store: blobs in memory."""

from __future__ import annotations

import itertools
import threading
import time
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar

from core.errors import NotFoundError
from core.ports.artifact_store import ArtifactStore, Blob, Named, check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from core.ports.artifact_store import Upload

_numbers = itertools.count(1)


class MemoryArtifactStore(ArtifactStore):
    """Keeps blobs in a dict; tests may look into `blobs` and spoil them."""

    flavor: ClassVar[str] = "memory"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.clock = clock
        """Tells when something was written."""
        self.uri = f"test://{next(_numbers)}"
        self.blobs: dict[str, bytes] = {}
        """Bytes by digest."""
        self.times: dict[str, float] = {}
        """Seconds since 1970 of each publication."""
        self.objects: dict[str, tuple[bytes, float]] = {}
        """Bytes and time, by name."""
        self._lock = threading.Lock()

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

    def write(self, name: str, data: bytes, *, new: bool = False) -> bool:
        """Keep an object."""
        check_name(name)
        with self._lock:
            if new and name in self.objects:
                return False
            self.objects[name] = (bytes(data), self.clock())
        return True

    def read(self, name: str) -> bytes:
        """The object's bytes."""
        if "/".join(check_name(name)) not in self.objects:
            raise NotFoundError(f"object {name!r} is not in {self.uri}")
        return self.objects[name][0]

    def names(self, folder: str) -> Iterator[Named]:
        """Every object below the folder."""
        check_name(folder)
        for name, (data, modified) in sorted(self.objects.items()):
            if name.startswith(folder + "/"):
                yield Named(name, len(data), modified)

    def remove(self, name: str) -> None:
        """Remove the object."""
        check_name(name)
        self.objects.pop(name, None)


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
        self._store.times[digest] = self._store.clock()

    def abort(self) -> None:
        """Drop the bytes."""
        self._data.clear()
