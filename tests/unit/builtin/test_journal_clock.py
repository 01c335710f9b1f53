"""Leases of a journal when the clocks of homes are wrong, or are set while a lease is held: the store's clock counts."""

import itertools

import pytest

from core.builtin.journal.leases import JournalClock
from core.builtin.journal.store import CLAIMED, JournalTrackingStore
from core.builtin.journal.sync import Exchange
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.errors import ConflictError, LeaseLostError
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.memory import ManualClock
from core.testing.suites.sample import completed, ended, run_id, started

RUN = run_id(1)
HOUR = 3600.0
CLOCKS = list(itertools.product([0.0, HOUR, -HOUR], repeat=2))


class World:
    """A store and homes that share it, each with a wall clock that may be `ahead`."""

    def __init__(self, folder):
        self.clock, self.folder, self.homes = ManualClock(), folder, []
        self.area, self.sleep = MemoryArtifactStore(self.clock), self.clock.advance

    def home(self, ahead=0.0, kind=None):
        self.homes.append((kind or Home)(self, ahead))
        return self.homes[-1]

    def end(self):
        for home in self.homes:
            home.end()


class Home:
    """One that works in the journal itself."""

    def __init__(self, world, ahead):
        self.ahead = ahead
        self.clock = JournalClock(lambda: world.clock() + self.ahead)
        self.store = JournalTrackingStore(world.area, self.clock)
        self.end = self.store.close

    def state(self):
        return self.store.runs()[0].state

    def takes(self, seconds=30):
        """Whether it gets the run's lease."""
        try:
            return self.store.acquire(RUN, f"{id(self)}", seconds).epoch > 1
        except ConflictError:
            return False


class Database(Home):
    """One that has a database, into which the journal is brought."""

    def __init__(self, world, ahead):
        super().__init__(world, ahead)
        path = world.folder / f"{len(world.homes)}.db"
        self.inner = SqliteTrackingStore(path, lambda: world.clock() + self.ahead)
        self.exchange = Exchange(world.area, self.inner, self.clock)
        self.end = self.inner.close

    def state(self):
        self.exchange.sync()
        return self.inner.runs()[0].state


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.end()


def sees(world, home, states):
    """What `home` says of the run, 20 and 36 seconds after its owner's last sign."""
    for seconds, state in zip((20, 16), states, strict=True):
        world.sleep(seconds)
        assert home.state() == state


@pytest.mark.parametrize(("mine", "yours"), CLOCKS)
def test_a_lease_lasts_as_long_as_the_store_says(world, mine, yours):
    owner, other = world.home(mine), world.home(yours)
    lease = owner.store.acquire(RUN, "me", 30)
    owner.store.append([started()], lease)
    world.sleep(20)
    assert other.state() == "running"
    assert not other.takes()
    lease = owner.store.renew(lease, 30)
    world.sleep(25)
    assert not other.takes()
    assert not world.home(yours).takes()  # one that asks for the first time
    world.sleep(8)
    assert other.state() == world.home(yours).state() == "lost"
    assert other.takes()
    for late in (owner.store.renew, lambda lease, _: owner.store.append([completed()], lease)):
        with pytest.raises(LeaseLostError):
            late(lease, 30)
    assert owner.state() == other.state() == "running"


@pytest.mark.parametrize(("mine", "yours"), CLOCKS)
@pytest.mark.parametrize("kind", [Home, Database])
def test_who_only_looks_is_told_the_truth(world, mine, yours, kind):
    owner, other = world.home(mine), world.home(yours, kind)
    owner.store.append([started()], owner.store.acquire(RUN, "me", 30))
    sees(world, other, ["running", "lost"])


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_whether_a_lease_has_run_out_can_be_told_by_now(world, ahead):
    owner, driver = world.home(), world.home(ahead)  # so a driver judges a job's signs of life
    owner.store.acquire(RUN, "job", 30)
    for seconds, alive in ((20, True), (16, False)):
        world.sleep(seconds)
        assert (driver.store.lease(RUN).expires_at > driver.store.now()) == alive


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
@pytest.mark.parametrize("kind", [Home, Database])
def test_the_clock_of_who_looks_is_set(world, jump, kind):
    owner, other = world.home(), world.home(0.0, kind)
    other.store.acquire("its own", "you", 30)  # so that it has learned the store's clock before
    owner.store.append([started()], owner.store.acquire(RUN, "me", 30))
    assert other.state() == "running"
    other.ahead += jump
    assert not other.takes()
    sees(world, other, ["running", "lost"])
    other.ahead -= 2 * jump
    assert other.takes()


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_renewal_after_a_jump_counts_from_now(world, jump):
    owner, other = world.home(), world.home()
    lease = owner.store.acquire(RUN, "me", 30)
    owner.store.append([started()], lease)
    for _ in range(3):
        world.sleep(20)
        owner.ahead += jump
        lease = owner.store.renew(lease, 30)
    owner.store.append([completed()], lease)
    sees(world, other, ["running", "lost"])
    assert other.takes()
    with pytest.raises(LeaseLostError):
        owner.store.append([ended()], lease)


@pytest.mark.parametrize("ahead", [0.0, HOUR, -HOUR])
def test_a_claim_that_was_not_given_up_runs_out_by_the_store_s_clock(world, ahead):
    assert world.home().store.claim("key:1", "me")
    other = world.home(ahead)
    world.sleep(CLAIMED - 10)
    assert not other.store.claim("key:1", "you")
    world.sleep(20)
    assert other.store.claim("key:1", "you") == (ahead >= 0)  # a clock that is behind may wait for longer
    assert not [name for name in world.area.objects if "clock-" in name]
