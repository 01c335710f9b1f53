"""The store's clock when the wall clock is wrong, jumps, or the machine was booted again."""

import time

import pytest

from core.builtin.sqlite.clock import StoreClock, boot_id, since_boot
from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.queries import load_queries
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.errors import ConflictError
from core.testing.suites.sample import run_id, started

pytestmark = pytest.mark.skipif(not boot_id(), reason="this system does not count from its boot")
RUN = run_id(1)
HOUR = 3600.0
SQL = load_queries("tracking.sql")


class Machine:
    """A machine whose wall clock can be set; `open` is a process on it."""

    def __init__(self, path):
        self.path = path
        self.boot, self.up, self.wall = "first", 1000.0, 1_700_000_000.0
        self.stores = []

    def end(self):
        for store in self.stores:
            store.close()
            store.database.close()

    def sleep(self, seconds):
        self.up += seconds
        self.wall += seconds

    def reboot(self, wall):
        self.end()
        self.boot, self.up, self.wall = self.boot + "'", 5.0, wall

    def open(self):
        database = Database(self.path)
        clock = StoreClock(database, SQL, lambda: self.wall, lambda: self.up, self.boot)
        self.stores.append(SqliteTrackingStore(database, clock))
        return self.stores[-1]


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path / "core.db")
    yield machine
    machine.end()


def test_it_tells_about_the_wall_clocks_time_at_first(tmp_path):
    store = SqliteTrackingStore(tmp_path / "core.db")
    assert abs(store.now() - time.time()) < 5
    before, first, after = since_boot(), store.now(), since_boot()
    time.sleep(0.02)
    least = since_boot() - after
    passed = store.now() - first
    assert least - 0.001 <= passed <= since_boot() - before + 0.001
    store.close()


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 40 * 365 * 24 * HOUR])
def test_the_wall_clock_jumps_while_a_lease_is_held(machine, jump):
    store = machine.open()
    store.append([started()], store.acquire(RUN, "me", 30))
    for step in (20, 9):
        machine.wall += jump
        machine.sleep(step)
        later = machine.open()
        assert later.runs()[0].state == store.runs()[0].state == "running"
        with pytest.raises(ConflictError):
            later.acquire(RUN, "you", 30)
    machine.wall -= jump
    machine.sleep(2)
    assert later.runs()[0].state == "lost"
    assert machine.open().acquire(RUN, "you", 30).epoch == 2


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_renewal_after_a_jump_counts_from_now(machine, jump):
    store = machine.open()
    lease = store.acquire(RUN, "me", 30)
    machine.wall += jump
    machine.sleep(25)
    before = lease.expires_at
    assert store.renew(lease, 30).expires_at == before + 25
    machine.sleep(29)
    with pytest.raises(ConflictError):
        machine.open().acquire(RUN, "you", 30)


def test_the_machines_sleep_counts(machine):
    store = machine.open()
    store.append([started()], store.acquire(RUN, "me", 30))
    machine.sleep(8 * HOUR)
    assert store.runs()[0].state == "lost"


@pytest.mark.parametrize("wall", [1_700_000_100.0, 1_700_000_000.0 - HOUR, 0.0, 1_700_000_000.0 + HOUR])
def test_after_a_boot_every_lease_has_run_out(machine, wall):
    store = machine.open()
    store.append([started()], store.acquire(RUN, "me", 60))
    with store.database.transaction() as connection:  # as if another machine's lock backed it
        connection.execute("UPDATE leases SET backing = ''")
    machine.reboot(wall)
    later = machine.open()
    assert later.runs()[0].state == "lost"
    assert later.acquire(RUN, "you", 30).epoch == 2
    assert later.now() >= wall
    assert machine.open().now() == later.now()


def test_processes_of_one_boot_agree(machine):
    first = machine.open()
    told = first.now()
    machine.wall -= HOUR
    second = machine.open()
    assert second.now() == told
    machine.up += 7
    assert first.now() == second.now() == told + 7


def test_the_first_reading_takes_one_read_and_the_next_none(machine, monkeypatch):
    machine.open().now()
    store = machine.open()
    reads, real = [], store.database.read
    monkeypatch.setattr(store.database, "read", lambda *args: (reads.append(args), real(*args))[1])
    store.now()
    store.now()
    assert len(reads) == 1


def test_without_a_time_since_boot_it_is_the_wall_clock(tmp_path):
    store = SqliteTrackingStore(tmp_path / "core.db")
    clock = StoreClock(store.database, SQL, lambda: 77.0, boot="")
    assert clock() == 77.0
    store.close()
