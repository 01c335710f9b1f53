"""Stores that fail: the suites under injected errors, and disks that are full or broken at the N-th write."""

import ctypes
import errno
import itertools
import os
import uuid
from contextlib import closing

import pytest

from core.builtin.journal.leases import JournalClock
from core.builtin.journal.store import JournalTrackingStore
from core.builtin.sqlite import connection as module
from core.builtin.sqlite.catalog import SqliteCatalog
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.builtin.stores import local
from core.builtin.stores.fsspec import FsspecArtifactStore
from core.builtin.stores.local import LocalArtifactStore
from core.errors import ConflictError, NotFoundError, StoreError
from core.ports.catalog import Entry
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.faulty import BROKEN, FULL, Faulty, Patient
from core.testing.memory import ManualClock, MemoryCatalog, MemoryTrackingStore
from core.testing.suites.artifact_store import ArtifactStoreSuite, digest_of
from core.testing.suites.catalog import CatalogSuite
from core.testing.suites.sample import completed, ended, run_id, started
from core.testing.suites.tracking_store import TrackingStoreSuite

RATE = 0.3
SEEDS = itertools.count(int(os.environ.get("CORE_TEST_SEED") or 1000))
NUMBERS = range(1, 51)
TROUBLES = {"full until mended": (errno.ENOSPC, True), "broken once": (errno.EIO, False)}
if os.environ.get("CORE_FAULTS") == "1":
    TROUBLES |= {"full once": (errno.ENOSPC, False), "broken until mended": (errno.EIO, True)}


def failing(inner, tries=200):
    """`inner` behind errors of a new seed, and somebody who tries again. The seed is printed for who repeats a failure."""
    seed = next(SEEDS)
    print("seed", seed)
    return Patient(Faulty(inner, seed, RATE, errors=(FULL, BROKEN), delay=0.0001), tries)


class TestSqliteTracking(TrackingStoreSuite):
    def make_store(self, folder):
        return failing(SqliteTrackingStore(folder / "core.db", ManualClock()))

    def wait(self, store, seconds):
        store._clock.advance(seconds)


class TestMemoryTracking(TrackingStoreSuite):
    def make_store(self, folder):
        return failing(MemoryTrackingStore(ManualClock()))

    def wait(self, store, seconds):
        store.inner.inner.clock.advance(seconds)


class TestJournalTracking(TrackingStoreSuite):
    """What it is asked fails, and what it asks of its store, in the middle of it."""

    def make_store(self, folder):
        clock, seed = ManualClock(), next(SEEDS)
        print("seed", seed)
        area = Faulty(MemoryArtifactStore(clock), seed, RATE / 15, errors=(FULL, BROKEN))
        return failing(JournalTrackingStore(area, JournalClock(clock)), tries=5000)

    def wait(self, store, seconds):
        store.inner.inner._clock.wall.advance(seconds)


class TestSqliteCatalog(CatalogSuite):
    def make_catalog(self, folder):
        return failing(SqliteCatalog(folder / "core.db"))


class TestMemoryCatalog(CatalogSuite):
    def make_catalog(self, folder):
        return failing(MemoryCatalog())


class TestLocalArtifacts(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return failing(LocalArtifactStore(str(tmp_path)))


class TestMemoryArtifacts(ArtifactStoreSuite):
    @pytest.fixture
    def store(self):
        return failing(MemoryArtifactStore())


class TestFsspecArtifacts(ArtifactStoreSuite):
    @pytest.fixture
    def store(self):
        return failing(FsspecArtifactStore(f"memory://{uuid.uuid4().hex}/below"))


# the wrappers themselves


def outcomes(seed, rate):
    store = Faulty(MemoryTrackingStore(), seed, rate)
    found = []
    for number in range(200):
        try:
            store.append([started(run_id(number))])
            found.append("ok")
        except StoreError:
            found.append("done" if store.inner.events(run_id(number)) else "not done")
    return found


def test_a_seed_gives_the_same_failures_of_both_kinds():
    assert outcomes(7, 0.3) == outcomes(7, 0.3) != outcomes(8, 0.3)
    counts = {kind: outcomes(7, 0.3).count(kind) for kind in ("ok", "done", "not done")}
    assert all(15 < counts[kind] < 60 for kind in ("done", "not done")), counts
    assert set(outcomes(7, 0.0)) == {"ok"}


def test_the_nth_write_fails_once():
    store = Faulty(MemoryTrackingStore(), fail_nth=2, errors=[BROKEN])
    store.append([started()])
    assert store.events(run_id(1))  # a look is no write
    with pytest.raises(StoreError, match="append") as caught:
        store.append([ended()])
    assert caught.value.__cause__.errno == errno.EIO
    store.append([ended()])
    assert (len(store.events(run_id(1))), store.failed) == (2, 1)


def test_patience_ends():
    with pytest.raises(StoreError):
        Patient(Faulty(MemoryTrackingStore(), rate=1.0), tries=3).runs()
    store = Patient(Faulty(MemoryArtifactStore(), rate=1.0), tries=3)
    with pytest.raises(StoreError):
        store.begin()


def test_patience_does_not_hide_what_others_did():
    catalog = MemoryCatalog()

    class Meanwhile:
        """Somebody else changes the entry while the answer is lost."""

        tries = 0

        def put(self, entry):
            self.tries += 1
            if self.tries == 1:
                catalog.put(entry._replace(data={"theirs": 1}))
                raise StoreError("lost", "")
            return catalog.put(entry)

        list = catalog.list

    with pytest.raises(ConflictError):
        Patient(Meanwhile()).put(Entry("stack", "mine", 0, {"ours": 1}))
    with pytest.raises(NotFoundError):
        Patient(Faulty(catalog, rate=0.0)).delete("stack", "nope", 1)


# the database on a disk that fails

TWO = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int64, use_errno=True)
FOUR = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)
THREE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, use_errno=True)
KINDS = {b"write": THREE, b"pwrite": FOUR, b"pwrite64": FOUR, b"ftruncate": TWO}


class Vfs(ctypes.Structure):
    """`sqlite3_vfs` up to the functions by which its system calls are replaced: SQLite's own door for such tests."""

    _fields_ = [
        ("version", ctypes.c_int), ("file_size", ctypes.c_int), ("path_size", ctypes.c_int), ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p), ("data", ctypes.c_void_p), *((f"call{n}", ctypes.c_void_p) for n in range(13)),
        ("set", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)),
        ("get", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)),
    ]  # fmt: skip


class Disk:
    """The system calls with which this process's SQLite writes; the `fail`-th fails, and all later ones if it `stays` so."""

    def __init__(self, vfs):
        self.fail, self.stays, self.errno, self.count = 0, False, errno.EIO, 0
        self._vfs, self._kept = vfs, []
        for name, kind in KINDS.items():
            real = vfs.contents.get(vfs, name)
            if real:
                self._replace(name, kind, kind(real))

    def _replace(self, name, kind, real):
        @kind
        def call(*args):
            self.count += 1
            if self.fail and (self.count == self.fail or (self.stays and self.count > self.fail)):
                ctypes.set_errno(self.errno)
                return -1
            return real(*args)

        self._kept.append((name, call))
        self._vfs.contents.set(self._vfs, name, call)

    def arm(self, fail, number, *, stays):
        self.fail, self.errno, self.stays, self.count = fail, number, stays, 0

    def mend(self):
        self.fail = 0

    def restore(self):
        for name, _ in self._kept:
            self._vfs.contents.set(self._vfs, name, None)


@pytest.fixture
def disk(monkeypatch):
    with open("/proc/self/maps") as file:
        libraries = {line.split()[-1] for line in file if "libsqlite3" in line}
    if not libraries:
        pytest.skip("this Python's SQLite is not a library of its own")
    find = ctypes.CDLL(libraries.pop()).sqlite3_vfs_find
    find.restype, find.argtypes = ctypes.POINTER(Vfs), [ctypes.c_char_p]
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 3)  # checkpoints write, too
    monkeypatch.setattr(module, "CHECKPOINT_BYTES", 30_000)
    disk = Disk(find(None))
    yield disk
    disk.restore()


BATCHES = [
    [
        started(run_id(number)),
        *(completed("k" * 3000, run_id(number), f"s{n}") for n in range(3)),
        ended(run_id(number)),
    ]
    for number in range(8)
]


def record(path):
    """Batches that were recorded without an error, and how many errors there were."""
    done, errors = [], 0
    try:
        with closing(SqliteTrackingStore(path, ManualClock())) as store:
            for batch in BATCHES:
                try:
                    store.append(batch, store.acquire(batch[0].run, "me", 60), {batch[0].run: "text"})
                    done.append(batch)
                except StoreError:
                    errors += 1
    except StoreError:
        errors += 1
    return done, errors


@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_nth_write_of_the_database_fails(tmp_path, disk, trouble, there):
    number, stays = TROUBLES[trouble]
    told = 0
    for nth in NUMBERS:
        path = tmp_path / str(nth) / "core.db"
        if there:
            SqliteTrackingStore(path).close()
        disk.arm(nth, number, stays=stays)
        done, errors = record(path)
        told += errors
        assert disk.count >= nth
        disk.mend()
        with closing(SqliteTrackingStore(path, ManualClock())) as store:
            assert store.database.read("PRAGMA integrity_check") == [("ok",)]
            for batch in BATCHES:
                found = store.events(batch[0].run)
                assert len(found) in ((len(batch),) if batch in done else (0, len(batch)))
                assert len(store.runs(pipeline="training", limit=None)) >= len(done)
        assert record(path)[1] == 0
        with closing(SqliteTrackingStore(path, ManualClock())) as store:
            assert [len(store.events(batch[0].run)) for batch in BATCHES] == [len(batch) for batch in BATCHES]
            assert [row.state for row in store.runs()] == ["completed"] * len(BATCHES)
            assert store.document(run_id(0)) == "text"
            assert store.cached(["k" * 3000])["k" * 3000].run == run_id(7)
    assert told >= len(NUMBERS) * 0.7  # else the writes did not come by here


# the local artifact store on a disk that fails

CONTENTS = [bytes([65 + n]) * 70_000 for n in range(8)]


@pytest.fixture
def system(monkeypatch):
    """The system calls of the store: `arm` makes the N-th fail."""

    class System:
        def __init__(self):
            self.fail, self.errno, self.stays, self.count = 0, 0, False, 0

        def arm(self, fail, number, *, stays):
            self.fail, self.errno, self.stays, self.count = fail, number, stays, 0

        def __getattr__(self, name):
            real = getattr(os, name)
            if name not in ("open", "write", "close", "replace", "fsync", "makedirs"):
                return real

            def call(*args, **options):
                self.count += 1
                if self.fail and (self.count == self.fail or (self.stays and self.count > self.fail)):
                    if name == "close":
                        real(*args)  # the descriptor is gone in any case
                    raise OSError(self.errno, os.strerror(self.errno))
                if name == "write" and self.count % 3 == 0:
                    return real(args[0], memoryview(args[1])[: max(1, len(args[1]) // 2)])
                return real(*args, **options)

            return call

    system = System()
    monkeypatch.setattr(local, "os", system)
    return system


def publish(store):
    """Digests that were published without an error, and how many errors there were."""
    done, errors = [], 0
    for content in CONTENTS:
        try:
            upload = store.begin()
        except StoreError:
            errors += 1
            continue
        try:
            for start in range(0, len(content), 10_000):
                upload.write(content[start : start + 10_000])
            upload.commit(digest_of(content))
            done.append(digest_of(content))
        except StoreError:
            errors += 1
            upload.abort()
    return done, errors


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("durability", ["process", "power"])
def test_the_nth_write_of_the_local_store_fails(tmp_path, system, trouble, durability):
    number, stays = TROUBLES[trouble]
    for nth in NUMBERS:
        store = LocalArtifactStore(str(tmp_path / str(nth)), durability=durability)
        system.arm(nth, number, stays=stays)
        done, errors = publish(store)
        assert errors
        system.arm(0, 0, stays=False)
        found = [blob.digest for blob in store.list()]
        assert set(done) <= set(found)
        for digest in found:
            with store.open(digest) as file:
                assert digest_of(file.read()) == digest
        left = tmp_path / str(nth) / local.TEMPORARY
        assert not left.exists() or not os.listdir(left)
        assert publish(store) == ([digest_of(content) for content in CONTENTS], 0)
