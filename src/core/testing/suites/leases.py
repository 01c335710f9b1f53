"""The part of the tracking store's suite that is about leases, fences and claims, and how a suite gets its stores."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from core.errors import ConflictError, LeaseLostError, NotFoundError
from core.testing.suites.sample import HOSTILE, completed, ended, run_id, started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from core.ports.tracking_store import TrackingStore


class LeaseSuite:
    """What `TrackingStoreSuite` asks about leases."""

    def make_store(self, folder: Path) -> TrackingStore:
        """A new, empty store that may keep its data in `folder`."""
        raise NotImplementedError

    def wait(self, store: TrackingStore, seconds: float) -> None:  # noqa: ARG002 - a double moves its clock
        """Let `seconds` pass by the store's clock."""
        time.sleep(seconds)

    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[Callable[[], TrackingStore]]:
        """Makes empty stores, closes them after the test."""
        stores: list[TrackingStore] = []

        def make() -> TrackingStore:
            folder = tmp_path / f"store_{len(stores)}"
            folder.mkdir()
            stores.append(self.make_store(folder))
            return stores[-1]

        yield make
        for store in stores:
            store.close()

    @pytest.fixture
    def store(self, fresh: Callable[[], TrackingStore]) -> TrackingStore:
        """An empty store."""
        return fresh()

    def test_a_lease_is_held_by_one(self, store: TrackingStore) -> None:
        assert store.lease("run") is None
        lease = store.acquire("run", "a", 60)
        assert (lease.name, lease.owner, lease.epoch) == ("run", "a", 1)
        assert 50 < lease.expires_at - store.now() <= 61
        with pytest.raises(ConflictError, match="'a'"):
            store.acquire("run", "b", 60)
        assert store.lease("run") == lease
        assert store.acquire("run", "a", 90).epoch == 1
        assert store.acquire("other", "b", 60).epoch == 1

    def test_an_expired_lease_is_taken_over(self, store: TrackingStore) -> None:
        old = store.acquire("run", "a", 0.1)
        self.wait(store, 0.15)
        assert store.lease("run") == old
        new = store.acquire("run", "b", 60)
        assert (new.owner, new.epoch) == ("b", 2)
        with pytest.raises(LeaseLostError):
            store.renew(old, 60)
        store.release(old)
        assert store.lease("run") == new

    def test_renewing_extends_from_now(self, store: TrackingStore) -> None:
        lease = store.acquire("run", "a", 0.1)
        self.wait(store, 0.15)
        renewed = store.renew(lease, 60)  # late, but nobody took it
        assert (renewed.owner, renewed.epoch) == ("a", 1)
        assert renewed.expires_at > store.now() + 50
        with pytest.raises(ConflictError):
            store.acquire("run", "b", 1)

    def test_a_released_lease_is_free_with_a_new_epoch(self, store: TrackingStore) -> None:
        lease = store.acquire("run", "a", 60)
        store.release(lease)
        with pytest.raises(LeaseLostError):
            store.renew(lease, 60)
        assert store.acquire("run", "b", 60).epoch == 2
        with pytest.raises(LeaseLostError):
            store.renew(lease._replace(name="unknown"), 60)
        store.release(lease._replace(name="unknown"))

    def test_an_epoch_that_is_asked_for_is_the_least(self, store: TrackingStore) -> None:
        assert store.acquire("run", "a", 60, 5).epoch == 5
        assert store.acquire("run", "a", 60, 3).epoch == 5
        lease = store.acquire("run", "a", 60, 7)
        assert store.renew(lease, 60) == store.lease("run")
        store.release(lease)
        assert store.acquire("run", "b", 60, 2).epoch == 8

    def test_a_fence_keeps_the_silent_owner_out(self, store: TrackingStore) -> None:
        old = store.acquire(run_id(1), "a", 0.1)
        store.append([started()], old)
        self.wait(store, 0.15)
        store.append([completed()], old)  # expired, yet nobody took it over
        new = store.acquire(run_id(1), "b", 60)
        with pytest.raises(LeaseLostError):
            store.append([ended()], old, {"d": "text"})
        assert len(store.events(run_id(1))) == 2
        with pytest.raises(NotFoundError):
            store.document("d")
        store.append([ended(epoch=2)], new)

    # claims

    def test_a_claim_is_held_by_one(self, store: TrackingStore) -> None:
        assert store.claim("key:1", "a")
        assert [store.claim("key:1", owner) for owner in "bab"] == [False, True, False]
        assert store.claim("key:2", "b")
        store.unclaim("key:1", "a")
        assert [store.claim("key:1", owner) for owner in "ba"] == [True, False]

    def test_only_the_holder_can_let_go(self, store: TrackingStore) -> None:
        store.unclaim("key:1", "a")
        assert store.claim("key:1", "a")
        store.unclaim("key:1", "b")
        store.unclaim("key:2", "a")
        assert not store.claim("key:1", "b")

    @pytest.mark.parametrize("name", HOSTILE)
    def test_any_name_can_be_claimed(self, store: TrackingStore, name: str) -> None:
        assert store.claim(name, name)
        assert not store.claim(name, "b")
        assert store.claim(name + "x", "b")

    def test_of_many_threads_one_gets_the_claim(self, store: TrackingStore) -> None:
        won: list[bool] = []
        crowd = [threading.Thread(target=lambda n=n: won.append(store.claim("key", f"{n}"))) for n in range(16)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        assert won.count(True) == 1

    def test_the_clock_goes_on(self, store: TrackingStore) -> None:
        before = store.now()
        self.wait(store, 0.02)
        assert store.now() > before

    def test_it_says_where_it_is(self, store: TrackingStore) -> None:
        assert isinstance(store.uri, str)
        assert store.uri
