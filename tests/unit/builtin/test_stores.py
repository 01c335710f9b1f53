"""The built-in artifact stores and their doubles: the suite, and what a disk can do to them."""

import errno
import os
import stat
import subprocess
import sys
import time
import uuid

import pytest

from core.builtin.stores.fsspec import TEMPORARY, FsspecArtifactStore
from core.builtin.stores.local import LocalArtifactStore
from core.builtin.stores.settings import FsspecSettings, LocalSettings
from core.errors import StoreError
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.faulty import Faulty
from core.testing.suites.artifact_store import ArtifactStoreSuite, digest_of


class TestLocal(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return LocalArtifactStore(str(tmp_path / "artifacts"))


class TestLocalThatSyncs(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return LocalArtifactStore(LocalSettings(path=str(tmp_path / "a b;c"), durability="power"))


class TestFsspecFile(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return FsspecArtifactStore(f"file://{tmp_path}/artifacts")


class TestFsspecMemory(ArtifactStoreSuite):
    @pytest.fixture
    def store(self):
        return FsspecArtifactStore(FsspecSettings(path=f"memory://{uuid.uuid4().hex}/below"))


class TestMemory(ArtifactStoreSuite):
    @pytest.fixture
    def store(self):
        return MemoryArtifactStore()


class TestFaultyThatNeverFails(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return Faulty(LocalArtifactStore(str(tmp_path)))


def put(store, data):
    upload = store.begin()
    try:
        upload.write(data)
        upload.commit(digest_of(data))
    except BaseException:
        upload.abort()
        raise
    return digest_of(data)


def files_below(folder):
    return [name for _, _, names in os.walk(folder) for name in names]


@pytest.fixture
def mounted(tmp_path):
    """A tmpfs of 256 KiB; skips where this user cannot mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this user cannot mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    "make", [lambda path: LocalArtifactStore(str(path)), lambda path: FsspecArtifactStore(f"file://{path}")]
)
def test_full_disk_publishes_nothing_and_leaves_nothing(mounted, make):
    store = make(mounted)
    kept = put(store, b"k" * 20_000)
    with pytest.raises(StoreError, match="No space left") as caught:
        put(store, b"x" * (1 << 20))
    assert "free some space" in caught.value.hint
    assert store.uri in caught.value.message
    assert [blob.digest for blob in store.list()] == [kept]
    assert len(files_below(mounted)) == 1


def test_file_size_limit_is_a_store_error(tmp_path):
    code = """
import resource, signal, sys
from core.builtin.stores.local import LocalArtifactStore
from core.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
upload = LocalArtifactStore(sys.argv[1]).begin()
try:
    upload.write(b"x" * 200_000)
except StoreError as error:
    upload.abort()
    print("refused", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused free some space")
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    "make", [lambda path: LocalArtifactStore(str(path)), lambda path: FsspecArtifactStore(f"file://{path}")]
)
def test_read_only_folder_names_the_store_and_a_mend(mounted, make):
    store = make(mounted)
    kept = put(store, b"before")
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    with pytest.raises(StoreError, match="Read-only") as caught:
        put(store, b"after")
    assert "right to write" in caught.value.hint
    with pytest.raises(StoreError):
        store.delete(kept)
    with store.open(kept) as file:
        assert file.read() == b"before"


def test_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        put(LocalArtifactStore(str(tmp_path / "file")), b"x")


@pytest.mark.parametrize(
    "make", [lambda path: LocalArtifactStore(str(path)), lambda path: FsspecArtifactStore(f"file://{path}")]
)
def test_published_files_are_read_only(tmp_path, make):
    store = make(tmp_path)
    path = store.path(put(store, b"x"))
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o222 == 0


def test_killed_upload_is_invisible(tmp_path):
    store = LocalArtifactStore(str(tmp_path))
    store.begin().write(b"killed")
    again = LocalArtifactStore(str(tmp_path))
    assert list(again.list()) == []
    assert put(again, b"next") == digest_of(b"next")


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_what_killed_uploads_left_goes_from_here_and_from_the_store(tmp_path, monkeypatch, protocol):
    spools = tmp_path / "spools"
    spools.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spools))
    store = FsspecArtifactStore(FsspecSettings(path=f"{protocol}://{tmp_path}/store"))
    kept = digest_of(b"kept")
    upload = store.begin()
    upload.write(b"kept")
    upload.commit(kept)
    half = f"{store.root}/{TEMPORARY}/half"
    store.fs.pipe_file(half, b"half")
    for name in ("core-upload-x", "core-artifact-x", "of-somebody-else"):
        (spools / name).write_bytes(b"half")
    assert store.tidy(time.time() - 60) == 0
    assert store.tidy(time.time() + 60, dry_run=True) == 3
    assert store.tidy(time.time() + 60) == 3
    assert os.listdir(spools) == ["of-somebody-else"]
    assert not store.fs.exists(half)
    assert store.exists(kept)


def test_strange_files_are_passed_over(tmp_path):
    store = LocalArtifactStore(str(tmp_path))
    digest = put(store, b"x")
    (tmp_path / "README").write_text("not ours")
    (tmp_path / digest[7] / "short").write_text("not ours")
    assert [blob.digest for blob in store.list()] == [digest]


def test_settings_refuse_unknown_keys():
    with pytest.raises(ValueError, match="sync"):
        LocalSettings(path="/somewhere", sync=True)


def test_faulty_store_fails_at_the_write_that_was_named():
    store = Faulty(MemoryArtifactStore(), fail_nth=2)
    with pytest.raises(StoreError) as caught:
        put(store, b"x")
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert list(store.list()) == []
    assert put(store, b"x") == digest_of(b"x")


def test_unknown_protocol_is_a_store_error():
    with pytest.raises(StoreError, match="nowhere://x"):
        FsspecArtifactStore("nowhere://x")


def test_local_store_imports_only_the_system(tmp_path):
    code = (
        "import sys; from core.builtin.stores.local import LocalArtifactStore as S; S('x')\n"
        "print([m for m in ('pydantic', 'fsspec', 'tempfile', 'pathlib', 'logging', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
