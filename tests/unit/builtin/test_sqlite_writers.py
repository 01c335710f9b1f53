"""Many writers at once, and checkpoints that never meet a commit."""

import sqlite3
import subprocess
import sys

import pytest

from core.builtin.sqlite import connection as module
from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.testing.suites.sample import completed, ended, event, run_id, started

WRITE = """
import sys
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.model.event import Event
path, run, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = SqliteTrackingStore(path)
lease = store.acquire(run, run, 60)
store.append([Event(run, "", 0, "w", 0, "run_started", 1.0, 1, {"pipeline": "p", "stack": "s"})], lease)
for n in range(steps):
    begun = Event(run, f"s{n}", 1, "w", 2 * n + 1, "attempt_started", 1.0, 1, {})
    done = Event(run, f"s{n}", 1, "w", 2 * n + 2, "attempt_completed", 2.0, 1, {"key": f"{run}{n}", "pipeline": "p", "outputs": {}})
    store.append([begun, done], lease)
store.append([Event(run, "", 0, "w", 9999, "run_ended", 3.0, 1, {"state": "completed"})], lease)
store.close()
"""


def test_32_processes_write(tmp_path):
    path = str(tmp_path / "core.db")
    crowd = [
        subprocess.Popen([sys.executable, "-c", WRITE, path, run_id(number), "12"], stderr=subprocess.PIPE)
        for number in range(32)
    ]
    assert [process.communicate()[1] for process in crowd] == [b""] * 32
    store = SqliteTrackingStore(path)
    assert [row.state for row in store.runs(limit=None)] == ["completed"] * 32
    assert {len(store.events(run_id(number))) for number in range(32)} == {26}
    assert len(store.cached([f"{run_id(3)}{n}" for n in range(12)])) == 12
    assert store.database.check() == []
    store.close()


@pytest.fixture
def eager(monkeypatch):
    """Look at the WAL after every commit, copy it at once."""
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(module, "CHECKPOINT_BYTES", 100_000)


def test_the_wal_stays_small(tmp_path, eager):
    path = tmp_path / "core.db"
    store = SqliteTrackingStore(path)
    sizes = []
    for number in range(60):
        store.append([started(run_id(number)), completed("k" * 2000, run_id(number)), ended(run_id(number))])
        sizes.append(path.with_name("core.db-wal").stat().st_size)
    assert max(sizes) < 300_000
    assert path.stat().st_size > 200_000
    store.close()


def test_a_checkpoint_runs_only_while_nobody_can_write(tmp_path, eager, monkeypatch):
    path = str(tmp_path / "core.db")
    database = Database(path)
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    tried = []
    real = database._connection

    class Watched:
        in_transaction = False

        def execute(self, sql, parameters=()):
            if "wal_checkpoint" in sql:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")
                tried.append(sql)
            return real.execute(sql, parameters)

    database._connection = Watched()
    database._checkpoint()
    assert tried == ["PRAGMA wal_checkpoint(PASSIVE)"]
    other.execute("BEGIN IMMEDIATE")  # free again
    other.execute("ROLLBACK")
    other.close()
    real.close()


def test_a_busy_writer_puts_a_checkpoint_off(tmp_path):
    path = str(tmp_path / "core.db")
    database, other = Database(path), sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database._checkpoint()
    other.execute("ROLLBACK")
    other.close()
    database._checkpoint()
    database.close()


def test_a_reader_does_not_stop_writers_or_checkpoints(tmp_path, eager):
    path = str(tmp_path / "core.db")
    store, reader = SqliteTrackingStore(path), sqlite3.connect(path, isolation_level=None)
    store.append([started()])
    reader.execute("BEGIN")
    (before,) = reader.execute("SELECT count(*) FROM events").fetchone()
    store.append([event("metadata", step="load", attempt=1, seq=n, text="x" * 5000) for n in range(100)])
    store.append([ended()])
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (before,)
    reader.execute("ROLLBACK")
    reader.close()
    store.append([completed(seq=500)])
    assert len(store.events(run_id(1))) == 103
    store.close()


def test_what_another_connection_recorded_is_trusted_at_once(tmp_path):
    mine, other = (SqliteTrackingStore(tmp_path / "core.db") for _ in range(2))
    assert not mine.recorded("blake3:new")
    other.append([completed("new")])
    assert mine.recorded("blake3:new")
    mine.close()
    other.close()
