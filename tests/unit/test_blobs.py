"""Many blobs of one artifact at a time, where the store is far away."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from core import blobs
from core.artifacts import load, save
from core.builtin.materializers.table import MaterializerTable
from core.carry import missing
from core.errors import NotFoundError, StoreError
from core.items import save_items
from core.testing.artifact_store import MemoryArtifactStore

if TYPE_CHECKING:
    from typing import BinaryIO

    from core.ports.artifact_store import Upload

TABLE = MaterializerTable()
VALUE = [bytes([number]) * 20_000 for number in range(100)]


class Far(MemoryArtifactStore):
    """A memory that is 10 ms away; the commit number `fails` fails."""

    many = True

    def __init__(self, fails: int = -1) -> None:
        super().__init__()
        self.fails, self.calls, self.now, self.most = fails, 0, 0, 0
        self.uploads: list[Upload] = []
        self.dropped = 0
        self.count = threading.Lock()

    def away(self) -> int:
        with self.count:
            self.calls, self.now = self.calls + 1, self.now + 1
            self.most, number = max(self.most, self.now), self.calls
        time.sleep(0.01)
        with self.count:
            self.now -= 1
        return number

    def begin(self) -> Upload:
        return FarUpload(self, super().begin())

    def open(self, digest: str) -> BinaryIO:
        self.away()
        return super().open(digest)

    def exists(self, digest: str) -> bool:
        self.away()
        return super().exists(digest)


class FarUpload:
    def __init__(self, store: Far, inner: Upload) -> None:
        self.store, self.inner, self.ended = store, inner, False
        store.uploads.append(self)

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        return self.inner.write(data)

    def commit(self, digest: str) -> None:
        if self.store.away() == self.store.fails:
            raise StoreError("the store is full", "make room")
        self.inner.commit(digest)
        self.ended = True

    def abort(self) -> None:
        self.inner.abort()
        self.ended = True


def ours() -> list[str]:
    """Threads that were left behind."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("core-")]


def test_parts_go_and_come_many_at_a_time() -> None:
    store = Far()
    ref = save(VALUE, store=store, materializers=TABLE)
    assert len(ref.parts) == 100
    assert store.calls == 101
    assert 8 <= store.most <= blobs.WIDTH + 1
    store.most = 0
    assert load(ref, store=store, materializers=TABLE, trusted=lambda _: False) == VALUE
    assert 8 <= store.most <= blobs.WIDTH + 1
    assert missing({"output": ref}, store) == ""
    store.delete(ref.parts[50])
    assert "output" in missing({"output": ref}, store)
    with pytest.raises(NotFoundError, match=ref.parts[50]):
        load(ref, store=store, materializers=TABLE, trusted=lambda _: False)
    assert not ours()


@pytest.mark.parametrize("fails", [1, 50, 100])
def test_one_that_fails_ends_all(fails: int) -> None:
    store = Far(fails)
    with pytest.raises(StoreError, match="the store is full"):
        save(VALUE, store=store, materializers=TABLE)
    assert all(upload.ended for upload in store.uploads)
    assert not ours()


def test_items_are_published_many_at_a_time() -> None:
    store = Far()
    found = save_items([VALUE[:3], *VALUE], 1, "output", store, TABLE, 8192)
    assert len(found) == 101
    assert 8 <= store.most <= blobs.WIDTH + 1
    ref = found["[0]"]
    assert load(ref, store=store, materializers=TABLE, trusted=lambda _: False) == VALUE[:3]
    store = Far(30)
    with pytest.raises(StoreError, match="the store is full"):
        save_items(VALUE, 1, "output", store, TABLE, 8192)
    assert all(upload.ended for upload in store.uploads)


def test_large_parts_come_one_by_one() -> None:
    """Memory: what comes before it is wanted waits there."""
    store = Far()
    ref = save([bytes(2 << 20), bytes(3 << 20)], store=store, materializers=TABLE)
    store.most = 0
    load(ref, store=store, materializers=TABLE, trusted=lambda _: False)
    assert store.most == 1
