"""Locks that die with their process; leases that they back: a dead owner is known at once, a paused one by time."""

import os
import signal
import subprocess
import sys
import time

import pytest

from core.builtin.sqlite import locks as module
from core.builtin.sqlite.locks import Locks
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.errors import ConflictError, LeaseLostError
from core.testing.memory import ManualClock
from core.testing.suites.sample import ended, run_id, started

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # fork in a process that may have threads
]
RUN = run_id(1)


@pytest.fixture(params=["of the open file", "of the process"])
def kind(request, monkeypatch):
    """Every kind of lock that this system has."""
    if request.param == "of the process":
        monkeypatch.setattr(module, "OPEN_FILE", False)
    elif not module.OPEN_FILE:
        pytest.skip("no such locks here")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "core.db")


@pytest.fixture
def child():
    """Forks processes that say whether `work` was true, then wait to be killed."""
    pids = []

    def fork(work):
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.write(writing, b"1" if work() else b"0")
                time.sleep(60)
            finally:
                os._exit(1)
        os.close(writing)
        pids.append(pid)
        return pid, reading

    yield fork
    for pid in pids:
        kill(pid)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass  # killed by the test


def said(reading):
    with open(reading, "rb") as file:
        return file.read(1) == b"1"


def test_two_objects_of_a_process_keep_each_other_out(path, kind):
    one, two = Locks(path), Locks(path)
    assert one.take("a", "x")
    assert [one.take("a", "x"), one.take("a", "y"), two.take("a", "x"), two.take("b", "x")] == [
        True,
        False,
        False,
        True,
    ]
    assert [one.held("a"), two.held("a"), one.held("b"), one.held("c")] == [True, True, True, False]
    two.drop("a", "x")
    assert two.held("a")
    one.drop("a", "x")
    assert not two.held("a")
    one.close()
    two.close()
    assert not one.held("b")
    one.close()


def test_of_32_processes_one_wins_and_after_its_death_another(path, kind, child):
    gate, go = os.pipe()
    crowd = {}
    for _ in range(32):
        pid, reading = child(lambda: os.read(gate, 1) and Locks(path).take("key", "me"))
        crowd[pid] = reading
    os.write(go, b"." * 32)
    won = [pid for pid, reading in crowd.items() if said(reading)]
    mine = Locks(path)
    assert (len(won), mine.take("key", "me")) == (1, False)
    kill(won[0])
    assert mine.take("key", "me")
    os.close(go)
    os.close(gate)
    mine.close()


def test_a_forked_child_does_not_keep_its_parents_lock(path, kind, child):
    def parent():
        locks = Locks(path)
        locks.take("key", "me")
        up, there = os.pipe()
        if not os.fork():
            os.write(there, b".")
            time.sleep(2)
            os._exit(0)
        return os.read(up, 1) == b"."

    pid, reading = child(parent)
    mine = Locks(path)
    assert said(reading)
    assert not mine.take("key", "other")
    kill(pid)
    assert mine.take("key", "other")
    mine.close()


def test_a_forked_child_has_nothing_and_takes_nothing_away(path, kind, child):
    locks = Locks(path)
    locks.take("key", "me")
    _, reading = child(lambda: not locks.take("key", "me") and locks.take("other", "me") and locks.held("key"))
    assert said(reading)
    assert [locks.take("key", "me"), locks.take("other", "me")] == [True, False]
    locks.close()


@pytest.mark.skipif(not module.OPEN_FILE, reason="locks of the process are lost so")
def test_other_code_that_reads_the_file_frees_nothing(path, child):
    locks = Locks(path)
    locks.take("key", "me")
    with open(path):
        pass
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert said(child(lambda: not Locks(path).take("key", "me"))[1])
    locks.close()


@pytest.mark.parametrize("broken", ["folder", "file system"])
def test_without_locks_only_threads_are_kept_apart(tmp_path, broken, monkeypatch):
    def refuse(*_):
        raise OSError(38, "not here")

    if broken == "file system":
        monkeypatch.setattr(module.fcntl, "fcntl", refuse)
        monkeypatch.setattr(module.fcntl, "lockf", refuse)
    one, two = (Locks(str(tmp_path / ("no/such" if broken == "folder" else "locks"))) for _ in range(2))
    assert [one.take("a", "x"), one.take("a", "y"), two.take("a", "y")] == [True, False, True]
    assert (one.backing(), one.held("a"), one.held("b")) == ("", True, False)
    one.close()


def test_a_kernel_without_locks_of_open_files_gets_the_others(path, monkeypatch):
    real = module.fcntl.fcntl

    def old(file, command, argument):
        if command in (module.fcntl.F_OFD_SETLK, module.fcntl.F_OFD_GETLK):
            raise OSError(22, "Invalid argument")
        return real(file, command, argument)

    monkeypatch.setattr(module.fcntl, "fcntl", old)
    one, two = Locks(path), Locks(path)
    assert [one.take("a", "x"), two.take("a", "x"), bool(one.backing())] == [True, False, True]
    one.close()
    two.close()


def test_claims_of_stores_in_one_process_and_in_another(path, child):
    one, two = SqliteTrackingStore(path), SqliteTrackingStore(path)
    pid, reading = child(lambda: SqliteTrackingStore(path).claim("key", "a"))
    assert said(reading)
    assert [one.claim("key", "a"), two.claim("key", "b")] == [False, False]
    kill(pid)
    assert [one.claim("key", "a"), two.claim("key", "a"), one.claim("key", "a")] == [True, False, True]
    one.close()
    assert two.claim("key", "b")
    two.close()


def owning(path, seconds=60.0):
    """A child's work: hold the lease of a run that began."""
    store = SqliteTrackingStore(path)
    store.append([started()], store.acquire(RUN, "dead", seconds))
    return True


def listed(store):
    """What the listings say of the run."""
    return store.runs()[0].state, [state for state in ("running", "lost", "completed") if store.runs(state=state)]


def test_a_killed_owner_is_lost_at_once_and_taken_over(path, child):
    store = SqliteTrackingStore(path)
    pid, reading = child(lambda: owning(path))
    assert said(reading)
    assert (listed(store), store.lease(RUN).expires_at > store.now()) == (("running", ["running"]), True)
    with pytest.raises(ConflictError):
        store.acquire(RUN, "me", 60)
    kill(pid)
    assert (listed(store), store.lease(RUN).expires_at) == (("lost", ["lost"]), 0.0)
    lease = store.acquire(RUN, "me", 60)
    assert (lease.epoch, listed(store)) == (2, ("running", ["running"]))
    store.append([ended(epoch=2)], lease)
    assert listed(store) == ("completed", ["completed"])
    store.close()


def test_a_paused_owner_is_lost_by_time_and_fenced_off(path, child):
    clock = ManualClock()
    store, paused = SqliteTrackingStore(path, clock), SqliteTrackingStore(path, clock)
    old = paused.acquire(RUN, "paused", 30)
    paused.append([started()], old)
    clock.advance(29)
    assert listed(store) == ("running", ["running"])
    clock.advance(2)
    assert listed(store) == ("lost", ["lost"])
    new = store.acquire(RUN, "me", 30)
    assert (new.epoch, listed(store)) == (2, ("running", ["running"]))
    with pytest.raises(LeaseLostError):
        paused.append([ended()], old)
    with pytest.raises(LeaseLostError):
        paused.renew(old, 30)
    paused.release(old)
    paused.close()
    assert listed(store) == ("running", ["running"])
    store.close()


def test_a_stopped_process_keeps_its_lease_while_it_has_time(path, child):
    store = SqliteTrackingStore(path)
    pid, reading = child(lambda: owning(path, 0.3))
    assert said(reading)
    os.kill(pid, signal.SIGSTOP)
    assert store.runs()[0].state == "running"
    time.sleep(0.35)
    assert store.runs()[0].state == "lost"
    assert store.acquire(RUN, "me", 60).epoch == 2
    store.close()


@pytest.mark.parametrize("backing", ["", "1:another-boot:1", "2:{mine}", "1:{mine}0"])
def test_of_a_lease_without_a_lock_of_ours_time_decides(path, child, backing):
    store = SqliteTrackingStore(path)
    pid, reading = child(lambda: owning(path))
    assert said(reading)
    kill(pid)
    with store.database.transaction() as connection:
        (mine,) = connection.execute("SELECT substr(backing, 3) FROM leases").fetchone()
        connection.execute("UPDATE leases SET backing = ?", (backing.format(mine=mine),))
    assert listed(store) == ("running", ["running"])
    with pytest.raises(ConflictError):
        store.acquire(RUN, "me", 60)
    store.close()


def test_a_removed_file_of_locks_declares_nobody_dead(path, child):
    store = SqliteTrackingStore(path)
    assert said(child(lambda: owning(path))[1])
    os.unlink(f"{path}-locks")
    other = SqliteTrackingStore(path)
    assert listed(store) == listed(other) == ("running", ["running"])
    store.close()
    other.close()


def test_a_lease_held_twice_by_one_owner_outlives_the_first_object(path):
    one, two = SqliteTrackingStore(path), SqliteTrackingStore(path)
    one.append([started()], one.acquire(RUN, "me", 60))
    assert two.acquire(RUN, "me", 60).epoch == 1
    one.close()
    assert listed(two) == ("running", ["running"])
    two.close()


def test_a_store_that_was_closed_without_release_left_its_lease(path):
    one, two = SqliteTrackingStore(path), SqliteTrackingStore(path)
    one.append([started()], one.acquire(RUN, "me", 60))
    one.close()
    assert listed(two) == ("lost", ["lost"])
    two.close()


def test_a_renewed_lease_is_backed_again(path):
    clock = ManualClock()
    one, two = SqliteTrackingStore(path, clock), SqliteTrackingStore(path, clock)
    one.append([started()], lease := one.acquire(RUN, "me", 60))
    two.renew(lease, 60)  # by another object: not backed while the first has the lock
    one.close()
    assert listed(two) == ("running", ["running"])
    two.renew(lease, 60)
    two.close()
    assert listed(SqliteTrackingStore(path, clock)) == ("lost", ["lost"])


def test_a_claim_is_cheap(path):
    store = SqliteTrackingStore(path)
    store.claim("first", "me")
    names = [f"key:{'0' * 60}{number:04}" for number in range(2000)]
    costs = []
    for _ in range(5):
        began = time.process_time()
        for name in names:
            store.claim(name, "me")
            store.unclaim(name, "me")
        costs.append((time.process_time() - began) / len(names) * 1e6)
    store.close()
    assert min(costs) < 60, costs  # microseconds; measured 5 to 7 for both
