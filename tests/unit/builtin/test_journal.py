"""The journal of runs: the tracking store's suite on local files and in memory, and what only objects can suffer."""

import pytest

from core.builtin.journal import batch
from core.builtin.journal.store import JournalTrackingStore
from core.builtin.journal.writer import JournalWriter
from core.builtin.stores.local import LocalArtifactStore
from core.errors import StoreError
from core.model.event import Event, EventKind
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.faulty import Faulty
from core.testing.suites.sample import completed, ended, started
from core.testing.suites.tracking_store import TrackingStoreSuite


class TestJournalInFiles(TrackingStoreSuite):
    def make_store(self, folder):
        return JournalTrackingStore(LocalArtifactStore(str(folder / "artifacts")))


class TestJournalInMemory(TrackingStoreSuite):
    def make_store(self, folder):
        return JournalTrackingStore(MemoryArtifactStore())


def test_much_of_a_job_becomes_several_objects(monkeypatch):
    monkeypatch.setattr(batch, "SPLIT", 700)
    area = MemoryArtifactStore()
    data = {"values": {"text": "x" * 100}}
    events = [Event("0197", "train", 1, "w", n, EventKind.METADATA, 1.0, 1, data) for n in range(9)]
    JournalWriter(area).append(events)
    assert all(each.size <= 700 for each in area.names("runs"))
    assert JournalTrackingStore(area).events("0197") == events


def test_an_append_that_fails_hides_nothing_that_was_there():
    area = Faulty(MemoryArtifactStore())
    store = JournalTrackingStore(area)
    store.append([started(), completed("a")])
    assert "a" in store.cached(["a"])
    area.left = 1  # the next write fails
    with pytest.raises(StoreError):
        store.append([ended()])
    assert "a" in store.cached(["a"])
    store.close()
