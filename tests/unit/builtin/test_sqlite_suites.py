"""The conformance suites on SQLite, and on the doubles."""

from core.builtin.sqlite.catalog import SqliteCatalog
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.testing.memory import ManualClock, MemoryCatalog, MemoryTrackingStore
from core.testing.suites.catalog import CatalogSuite
from core.testing.suites.tracking_store import TrackingStoreSuite


class TestSqliteTracking(TrackingStoreSuite):
    def make_store(self, folder):
        return SqliteTrackingStore(folder / "core.db", ManualClock())

    def wait(self, store, seconds):
        store._clock.advance(seconds)


class TestMemoryTracking(TrackingStoreSuite):
    def make_store(self, folder):
        return MemoryTrackingStore(ManualClock())

    def wait(self, store, seconds):
        store.clock.advance(seconds)


class TestSqliteCatalog(CatalogSuite):
    def make_catalog(self, folder):
        return SqliteCatalog(folder / "core.db")


class TestMemoryCatalog(CatalogSuite):
    def make_catalog(self, folder):
        return MemoryCatalog()
