"""The journal of runs: the tracking store's suite on local files and in memory, and what only objects can suffer."""

from core.builtin.journal import batch
from core.builtin.journal.store import JournalTrackingStore
from core.builtin.journal.writer import JournalWriter
from core.builtin.stores.local import LocalArtifactStore
from core.model.event import Event, EventKind
from core.testing.artifact_store import MemoryArtifactStore
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
