"""Conformance suite for artifact stores."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from core.errors import ConfigurationError, NotFoundError, UsageError

if TYPE_CHECKING:
    from core.ports.artifact_store import ArtifactStore

HOSTILE = [
    "blake3:../../../../etc/passwd",
    "blake3:" + "../" * 21 + "a",
    "/etc/passwd",
    "blake3:" + "0" * 63 + "\0",
    "blake3:" + "A" * 64,
    "sha256:" + "0" * 64,
    "blake3:" + "a" * 300,
    "",
    "blake3:",
    "blake3:\u202e" + "0" * 63,
    "blake3:" + ";" * 64,
]
"""Strings that name no blob and must never name a file."""


def digest_of(data: bytes) -> str:
    """The name of a blob with these bytes."""
    return "blake3:" + blake3(data).hexdigest()


class ArtifactStoreSuite:
    """Subclass it as `Test...` and override the fixture `store`."""

    @pytest.fixture
    def store(self) -> ArtifactStore:
        """The store under test, empty and new for each test."""
        raise NotImplementedError

    def put(self, store: ArtifactStore, data: bytes) -> str:
        """Publish `data`; returns its digest."""
        upload = store.begin()
        assert upload.write(data) == len(data)
        upload.commit(digest_of(data))
        return digest_of(data)

    def get(self, store: ArtifactStore, digest: str) -> bytes:
        """The published bytes."""
        with store.open(digest) as file:
            return file.read()

    def test_declares_what_it_is(self, store: ArtifactStore) -> None:
        """Type, flavor and URI."""
        assert store.type == "artifact_store"
        assert store.flavor
        assert "://" in store.uri

    @pytest.mark.parametrize("size", [0, 1, 8192, 9 << 20])
    def test_gives_back_what_was_written(self, store: ArtifactStore, size: int) -> None:
        """Empty, small and large blobs."""
        data = bytes(range(251)) * (size // 251 + 1)
        digest = self.put(store, data[:size])
        assert self.get(store, digest) == data[:size]
        assert store.exists(digest)

    def test_takes_every_kind_of_buffer(self, store: ArtifactStore) -> None:
        """Bytes, bytearrays, memory views, in many writes."""
        upload = store.begin()
        for part in (b"one", bytearray(b"two"), memoryview(b"three"), memoryview(bytearray(b"4444")).cast("H"), b""):
            assert upload.write(part) == memoryview(part).nbytes
        digest = digest_of(b"onetwothree4444")
        upload.commit(digest)
        assert self.get(store, digest) == b"onetwothree4444"

    def test_shows_nothing_before_commit(self, store: ArtifactStore) -> None:
        """An upload under way is invisible, in every way."""
        upload = store.begin()
        upload.write(b"half")
        assert not store.exists(digest_of(b"half"))
        assert list(store.list()) == []
        upload.abort()

    def test_abort_leaves_nothing(self, store: ArtifactStore) -> None:
        """Aborting drops the bytes, may be done twice, and does nothing after commit."""
        upload = store.begin()
        upload.write(b"gone")
        upload.abort()
        upload.abort()
        assert list(store.list()) == []
        done = store.begin()
        done.write(b"kept")
        done.commit(digest_of(b"kept"))
        done.abort()
        assert self.get(store, digest_of(b"kept")) == b"kept"

    def test_keeps_equal_content_once(self, store: ArtifactStore) -> None:
        """Publishing the same bytes again changes nothing, and a reader under way reads on."""
        digest = self.put(store, b"same" * 5000)
        with store.open(digest) as file:
            begun = file.read(4)
            assert self.put(store, b"same" * 5000) == digest
            assert begun + file.read() == b"same" * 5000
        assert [blob.digest for blob in store.list()] == [digest]

    def test_two_uploads_at_once(self, store: ArtifactStore) -> None:
        """They do not mix."""
        one, two = store.begin(), store.begin()
        for _ in range(3):
            one.write(b"1")
            two.write(b"2")
        two.commit(digest_of(b"222"))
        one.commit(digest_of(b"111"))
        assert (self.get(store, digest_of(b"111")), self.get(store, digest_of(b"222"))) == (b"111", b"222")

    def test_lists_what_is_there(self, store: ArtifactStore) -> None:
        """Digest, size and a plausible time of each."""
        made = {self.put(store, bytes([65 + n]) * n): n for n in range(1, 20)}
        blobs = list(store.list())
        assert {blob.digest: blob.size for blob in blobs} == made
        assert all(abs(blob.modified - time.time()) < 24 * 3600 for blob in blobs)

    def test_deletes(self, store: ArtifactStore) -> None:
        """A deleted blob is gone; deleting what is not there is fine; it can be put again."""
        digest = self.put(store, b"short-lived")
        store.delete(digest)
        store.delete(digest)
        assert not store.exists(digest)
        assert list(store.list()) == []
        with pytest.raises(NotFoundError, match="is not in"):
            store.open(digest)
        assert self.get(store, self.put(store, b"short-lived")) == b"short-lived"

    def test_path_is_a_file_with_the_bytes(self, store: ArtifactStore) -> None:
        """Where there are local files at all; nobody may write to them."""
        digest = self.put(store, b"on disk")
        path = store.path(digest)
        if path is None:
            pytest.skip("no local files")
        with open(path, "rb") as file:
            assert file.read() == b"on disk"

    @pytest.mark.parametrize("digest", HOSTILE)
    def test_hostile_digests_name_nothing(self, store: ArtifactStore, digest: str) -> None:
        """Not a file elsewhere, not a crash."""
        with pytest.raises(NotFoundError):
            store.open(digest)

    def test_mends_a_spoilt_blob(self, store: ArtifactStore) -> None:
        """Publishing the right bytes under a digest that holds others puts the right ones there."""
        digest = digest_of(b"right")
        wrong = store.begin()
        wrong.write(b"wrong")
        wrong.commit(digest)
        self.put(store, b"right")
        assert self.get(store, digest) == b"right"

    # objects with names: a store without them passes, its stacks just keep no journal

    @pytest.fixture
    def named(self, store: ArtifactStore) -> ArtifactStore:
        """The store under test, if it has objects with names."""
        try:
            list(store.names("runs"))
        except ConfigurationError:
            pytest.skip("keeps no objects with names")
        return store

    def test_objects_have_names(self, named: ArtifactStore) -> None:
        """They are written whole, replaced, listed by folder, read one by one or many at a time, and removed."""
        for name in ("runs/a/one.json", "runs/a/b/two", "runs/ab", "other/a/three"):
            assert named.write(name, name.encode())
        assert named.write("runs/a/one.json", b"")
        assert named.read("runs/a/one.json") == b""
        listed = {each.name: each.size for each in named.names("runs/a")}
        assert listed == {"runs/a/one.json": 0, "runs/a/b/two": 12}
        assert all(abs(each.modified - time.time()) < 24 * 3600 for each in named.names("runs"))
        assert len(list(named.names("runs"))) == 3
        assert list(named.names("runs/nothing")) == []
        found = dict(named.read_all(["runs/ab", "runs/none", "other/a/three"]))
        assert found == {"runs/ab": b"runs/ab", "runs/none": None, "other/a/three": b"other/a/three"}
        named.remove("runs/ab")
        named.remove("runs/ab")
        with pytest.raises(NotFoundError):
            named.read("runs/ab")

    def test_a_new_object_is_new_once(self, named: ArtifactStore) -> None:
        """Of many at a time one writes it, and what is there stays."""
        won: list[int] = []

        def try_it(number: int) -> None:
            if named.write("runs/once", b"%d" % number, new=True):
                won.append(number)

        crowd = [threading.Thread(target=try_it, args=(number,)) for number in range(8)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        assert [b"%d" % number for number in won] == [named.read("runs/once")]
        assert not named.write("runs/once", b"late", new=True)
        assert named.write("runs/once", b"replaced")
        assert named.read("runs/once") == b"replaced"

    def test_blobs_and_named_objects_do_not_mix(self, named: ArtifactStore) -> None:
        """Neither shows in the listing of the other, however it is called."""
        named.write("runs/" + "a" * 60, b"object")
        named.write("runs/ab/" + "a" * 62, b"object")
        digest = self.put(named, b"blob")
        assert [blob.digest for blob in named.list()] == [digest]
        assert len(list(named.names("runs"))) == 2

    @pytest.mark.parametrize(
        "name", ["", "a/b", "../x", "runs/../x", "/runs", "runs//a", "runs/ ", "runs/" + "x" * 300, "runs/\0", "tmp/ab"]
    )
    def test_hostile_names_name_nothing(self, named: ArtifactStore, name: str) -> None:
        """Not a file elsewhere, not a blob, not a crash."""
        with pytest.raises(UsageError):
            named.write(name, b"x")
        with pytest.raises(UsageError):
            named.read(name)
