"""The journal of runs in a bucket: the tracking store's suite, and what it costs in requests."""

from __future__ import annotations

import pytest

from core.builtin.journal.store import JournalTrackingStore
from core.testing.suites.tracking_store import TrackingStoreSuite


class TestJournalInS3(TrackingStoreSuite):
    @pytest.fixture(autouse=True)
    def _bucket(self, s3):
        self._s3 = s3

    def make_store(self, folder):
        return JournalTrackingStore(self._s3())

    @pytest.mark.parametrize("seed", range(1))
    def test_the_order_of_arrival_does_not_matter(self, fresh, seed):  # each asks the server hundreds of times
        super().test_the_order_of_arrival_does_not_matter(fresh, seed)
