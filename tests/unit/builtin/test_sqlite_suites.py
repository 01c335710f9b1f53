"""The conformance suites on SQLite, and on the doubles; and that both say the same of any events."""

import tempfile
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from core.builtin.sqlite.catalog import SqliteCatalog
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.testing.memory import ManualClock, MemoryCatalog, MemoryTrackingStore
from core.testing.suites.catalog import CatalogSuite
from core.testing.suites.sample import answers_of, history
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


@given(chance=st.randoms(use_true_random=False), data=st.data())
def test_any_order_of_any_events_gives_what_the_double_says(chance, data):
    events = history(chance)
    order = data.draw(st.permutations(events + events[:7]))
    double = MemoryTrackingStore(ManualClock())
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(SqliteTrackingStore(f"{folder}/core.db", ManualClock())) as store,
    ):
        double.append(events)
        while order:
            size = data.draw(st.integers(1, 20))
            store.append(order[:size])
            order = order[size:]
            if data.draw(st.booleans()):
                store.recorded("fill the index")
        assert answers_of(store) == answers_of(double)
        gone = events[0].run
        store.delete_run(gone)
        double.delete_run(gone)
        assert answers_of(store) == answers_of(double)
