"""Opening core's SQLite file: what is refused, what is said, and that nothing is destroyed."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from core.builtin.sqlite import connection as module
from core.builtin.sqlite.catalog import SqliteCatalog
from core.builtin.sqlite.connection import APPLICATION_ID, SCHEMA, Database
from core.builtin.sqlite.diagnosis import sqlite_defect
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.errors import CorruptDataError, NotFoundError, StoreError, UsageError
from core.testing.suites.sample import completed, ended, run_id, started

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(autouse=True)
def all_closed(monkeypatch):
    """Close what a test leaves open: it dies on purpose in many of them."""
    made, real = [], Database.__init__
    monkeypatch.setattr(Database, "__init__", lambda self, path: (made.append(self), real(self, path))[1])
    yield
    for database in made:
        if hasattr(database, "_connection"):
            database.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "core.db"


def filled(path, count=30):
    store = SqliteTrackingStore(path)
    for number in range(count):
        store.append([started(run_id(number)), completed("x" * 300, run_id(number)), ended(run_id(number))])
    store.close()


def refused(path, kind, *words):
    """Opening raises `kind` naming the file and `words`, with a hint, and leaves every byte alone."""
    before = path.read_bytes()
    with pytest.raises(kind) as caught:
        SqliteTrackingStore(path)
    for word in (str(path), *words):
        assert word in caught.value.message
    assert caught.value.hint
    assert path.read_bytes() == before


def test_a_new_file_is_ours_and_in_wal_mode(path):
    Database(path).close()
    plain = sqlite3.connect(path)
    values = [
        plain.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version", "journal_mode")
    ]
    plain.close()
    assert values == [APPLICATION_ID, SCHEMA, "wal"]


def test_the_connection_is_set_up(path):
    database = Database(path)
    names = ("synchronous", "busy_timeout", "wal_autocheckpoint", "journal_size_limit")
    assert [database.read(f"PRAGMA {name}")[0][0] for name in names] == [1, 30_000, 0, 0]
    database.close()


def test_folders_are_made(tmp_path):
    Database(tmp_path / "a" / "b" / "core.db").close()
    assert (tmp_path / "a" / "b" / "core.db").exists()


def test_zero_length_is_new(path):
    path.touch()
    SqliteTrackingStore(path).close()
    filled(path)


def test_zero_length_with_a_journal_is_not(path):
    store = SqliteTrackingStore(path)
    store.append([started()])
    journal = path.with_name("core.db-wal")
    kept = journal.read_bytes()
    store.close()
    path.write_bytes(b"")
    journal.write_bytes(kept)
    refused(path, CorruptDataError, "journal")
    assert journal.read_bytes() == kept


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_truncated_file_is_refused(path, share):
    filled(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, CorruptDataError)


def test_a_damaged_page_is_told_when_it_is_read(path):
    filled(path)
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(CorruptDataError) as caught:
        SqliteTrackingStore(path).append([started(run_id(1000))])
    assert str(path) in caught.value.message
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"not a database at all, but long enough " * 40, b"\0" * 5000, b"short"])
def test_a_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    refused(path, CorruptDataError)


@pytest.mark.parametrize("statement", ["CREATE TABLE t (a)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"])
def test_a_database_of_another_program_is_refused(path, statement):
    foreign = sqlite3.connect(path)
    foreign.execute(statement)
    foreign.close()
    refused(path, CorruptDataError, "another program")


def test_a_newer_schema_is_refused(path):
    filled(path)
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    newer.close()
    refused(path, CorruptDataError, f"schema {SCHEMA + 1}")


def test_a_lost_table_is_told(path):
    filled(path)
    plain = sqlite3.connect(path)
    plain.execute("DROP TABLE events")
    plain.close()
    with pytest.raises(CorruptDataError, match="events"):
        SqliteTrackingStore(path).events("r")


def test_a_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(StoreError, match="folder"):
        Database(tmp_path)


@pytest.mark.parametrize("name", ["nul\0.db", "x" * 300])
def test_impossible_paths(tmp_path, name):
    with pytest.raises(StoreError):
        Database(str(tmp_path / name))


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        Database(tmp_path / "file" / "core.db")


def as_nobody(call):
    """Exit code of a child that has no special rights: 0 when `call` raised a `StoreError` with a hint."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 9
    try:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        call()
        code = 1
    except StoreError as error:
        code = 0 if error.hint and "core.db" in error.message else 2
    finally:
        os._exit(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to give up root's rights")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork in a process that may have threads
@pytest.mark.parametrize(
    ("file", "folder"), [(0o444, 0o755), (0o444, 0o555), (0o000, 0o755), (0o644, 0o000), (0o644, 0o555)]
)
def test_read_only_places(file, folder):
    with tempfile.TemporaryDirectory() as top:  # pytest's own folders keep strangers out
        os.chmod(top, 0o755)  # noqa: S103
        path = Path(top) / "home" / "core.db"
        filled(path, 1)
        before = path.read_bytes()
        path.chmod(file)
        path.parent.chmod(folder)
        code = as_nobody(lambda: SqliteTrackingStore(path).append([started()]))
        path.parent.chmod(0o755)
        assert (code, path.read_bytes()) == (0, before)


def test_a_full_disk_loses_nothing(path):
    store = SqliteTrackingStore(path)
    store.append([started()])
    (pages,) = store.database.read("PRAGMA page_count")[0]
    store.database.read(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(StoreError, match="full") as caught:
        store.append([completed("y" * 100_000, step=f"s{number}") for number in range(3)])
    assert str(path) in caught.value.message
    assert [told.kind for told in store.events(run_id(1))] == ["run_started"]
    store.database.read("PRAGMA max_page_count = 100000")
    store.append([completed()])
    assert store.database.check() == []
    store.close()


def test_a_really_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        store = SqliteTrackingStore(disk / "core.db")
        with pytest.raises(StoreError, match=str(disk)):
            [store.append([completed("y" * 2000, run_id(number))]) for number in range(500)]
        kept = len(store.runs(limit=None)), store.events(run_id(0))
        assert kept[1]
        assert store.database.check() == []
        store.close()
        with pytest.raises(StoreError):
            SqliteTrackingStore(disk / "core.db").append([completed("y" * 500_000, run_id(900))])
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_database_removed_while_in_use_is_told(path):
    store = SqliteTrackingStore(path)
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(StoreError, match="removed"):
        [store.append([started(run_id(number))]) for number in range(20)]


def test_what_cannot_be_stored_is_refused_whole(path):
    store = SqliteTrackingStore(path)
    for bad in (completed(step="\ud800"), completed(seq=2**70)):
        with pytest.raises(UsageError):
            store.append([started(), bad])
    with pytest.raises(UsageError):
        store.events("\ud800")
    assert store.runs() == []
    store.close()


def test_a_locked_database_says_so(path, monkeypatch):
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    store, other = SqliteTrackingStore(path), sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        store.append([started()])
    other.execute("ROLLBACK")
    other.close()
    store.append([started()])


def test_after_close_it_says_so(path):
    store = SqliteTrackingStore(path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.runs()


def test_a_failed_migration_leaves_nothing(path, monkeypatch):
    monkeypatch.setattr(module, "load_migration", lambda _: ["CREATE TABLE t (a)", "CREATE NONSENSE"])
    with pytest.raises(StoreError):
        Database(path)
    monkeypatch.undo()
    filled(path)


def test_the_store_and_the_catalog_share_a_file_or_a_connection(path):
    database = Database(path)
    store, catalog = SqliteTrackingStore(database), SqliteCatalog(database)
    separate = SqliteCatalog(path)
    assert store.database is catalog.database
    store.close()
    assert catalog.list("stack") == separate.list("stack") == []
    database.close()
    separate.close()


def test_threads_share_a_store(path):
    store = SqliteTrackingStore(path)
    work = [
        threading.Thread(target=lambda name=name: [store.append([completed(step=f"{name}{n}")]) for n in range(40)])
        for name in "abcd"
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(store.events(run_id(1))) == 160


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_gets_its_own_connection(path):
    store = SqliteTrackingStore(path)
    store.append([started()])
    child = os.fork()
    if not child:
        code = 1
        try:
            store.append([completed()])
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.append([ended()])
    assert len(store.events(run_id(1))) == 3
    assert store.database.check() == []


OPEN = "import sys; from core.builtin.sqlite.tracking import SqliteTrackingStore as S; sys.stdin.read(1); S(sys.argv[1]).now()"


def test_processes_create_a_database_at_once(path):
    crowd = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(path)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    for process in crowd:
        process.stdin.write(b"\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in crowd]
    assert errors == [b""] * 6
    filled(path)


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_the_golden_databases_open(path, schema):
    shutil.copy(GOLDEN / f"schema_{schema}.db", path)
    store, catalog = SqliteTrackingStore(path), SqliteCatalog(path)
    assert [(row.id, row.state, row.project) for row in store.runs()] == [
        (run_id(3), "lost", "other"), (run_id(2), "completed", "default"), (run_id(1), "completed", "default"),
    ]  # fmt: skip
    assert store.cached(["a"])["a"].outputs["output"].inline == b"12"
    assert store.latest("training", "load").run == run_id(2)
    assert store.recorded("part:a")
    assert store.document("blake3:graph") == '{"nodes":[]}'
    assert store.lease(run_id(1)).epoch == 1
    assert store.events(run_id(3))[0].data["surprise"] == [1]
    assert [(entry.name, entry.revision) for entry in catalog.list("stack")] == [("cloud", 1), ("default", 2)]
    store.delete_run(run_id(1))
    with pytest.raises(NotFoundError):
        store.delete_run(run_id(1))
    store.close()
    catalog.close()


@pytest.mark.parametrize(
    ("version", "bad"),
    [
        ((3, 40, 1), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 44, 6), False),
    ],
)
def test_the_defect_is_told(version, bad):
    assert bool(sqlite_defect(version)) is bad
