"""The mirror of a home that ends with its process: what others must know is in the journal before anything is launched."""

import time
from contextlib import contextmanager

import pytest

from core.builtin.journal.mirror import Mirrored
from core.builtin.journal.store import JournalTrackingStore
from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.faulty import Faulty
from core.testing.suites.sample import ended, run_id, started


@contextmanager
def owned(folder, area, **more):
    """A run that is owned, and its beginning recorded."""
    database = Database(str(folder / "core.db"))
    mirrored = Mirrored(SqliteTrackingStore(database), area, str(folder / "notes"), **more)
    lease = mirrored.acquire(run_id(1), "w", 30.0)
    mirrored.append([started()], lease)
    yield mirrored
    mirrored.append([ended()], lease)
    mirrored.release(lease)
    database.close()


@pytest.mark.parametrize("lasting", [False, True])
def test_what_was_appended_is_secured_where_its_home_does_not_last(tmp_path, monkeypatch, lasting):
    monkeypatch.setattr("core.builtin.journal.mirror.EVERY", 600.0)
    area = MemoryArtifactStore()
    with owned(tmp_path, area, lasting=lasting) as mirrored:
        mirrored.secure()
        assert [event.kind for event in JournalTrackingStore(area).events(run_id(1))] == ["run_started"] * (not lasting)
    assert len(JournalTrackingStore(area).events(run_id(1))) == 2


def test_a_store_that_is_away_is_not_waited_for(tmp_path, capfd):
    area = Faulty(MemoryArtifactStore(), rate=1.0)
    with owned(tmp_path, area, lasting=False) as mirrored:
        began = time.monotonic()
        mirrored.secure()
        assert time.monotonic() - began < 5
        area._rate = 0.0
    assert len(JournalTrackingStore(area.inner).events(run_id(1))) == 2
    assert capfd.readouterr().err == ""


def test_the_journal_is_looked_at_now_and_then_only(tmp_path, monkeypatch):
    monkeypatch.setattr("core.builtin.journal.mirror.LOOK", 0.2)
    area, looks = MemoryArtifactStore(), []
    names = area.names
    monkeypatch.setattr(area, "names", lambda folder: looks.append(folder) or names(folder))
    with owned(tmp_path, area):
        time.sleep(1.1)
        assert 2 <= len(looks) <= 20
