"""The journal of runs: the tracking store's suite on local files and in memory, and what only objects can suffer."""

from core.builtin.journal.store import JournalTrackingStore
from core.builtin.stores.local import LocalArtifactStore
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.suites.tracking_store import TrackingStoreSuite


class TestJournalInFiles(TrackingStoreSuite):
    def make_store(self, folder):
        return JournalTrackingStore(LocalArtifactStore(str(folder / "artifacts")))


class TestJournalInMemory(TrackingStoreSuite):
    def make_store(self, folder):
        return JournalTrackingStore(MemoryArtifactStore())
