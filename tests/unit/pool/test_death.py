"""Steps that crash, exit, hang, fork, daemonise, or are ended: each end has its name and its fault, nothing is left."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import get_context
from core.errors import OutOfMemory, StepCrashed, StepPreempted, StepTimeout, WorkerDied
from core.model.states import Fault, StepState


def segfaults() -> None:
    ctypes.string_at(0)


def aborts() -> None:
    os.abort()


def exits() -> None:
    os._exit(0)


def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def terminated_from_outside() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)


def terminated_bluntly() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def number() -> int:
    return 7


def forks_and_returns() -> int:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return child


def forks_and_raises() -> int:
    child = os.fork()
    if not child:
        raise ValueError("in the child")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def daemonises() -> int:
    """Gives the process of a grandchild in a session of its own that nobody waits for."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write, b"%d" % os.getpid())
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
        os._exit(0)
    os.wait()
    return int(os.read(read, 20))


def daemonises_and_dies(path: str = "") -> None:
    Path(path).write_text(str(daemonises()))
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps() -> None:
    time.sleep(60)


def spins() -> None:
    while True:
        pass


def ignores() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.run(["sleep", "60"], check=True)


def stops_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def looks() -> int:
    context = get_context()
    print("looking", flush=True)
    while not context.stopping:
        time.sleep(0.01)
    return 1


def hooked() -> None:
    context = get_context()
    context.on_stop(lambda: context.checkpoint([1, 2]))
    print("hooked", flush=True)
    time.sleep(60)


def stubborn() -> None:
    print("stubborn", flush=True)
    while True:
        try:
            time.sleep(60)
        except BaseException as error:  # noqa: BLE001
            print("caught", type(error).__name__, flush=True)


def hoards() -> None:
    kept = []
    while True:
        kept.append(bytearray(b"x") * (8 << 20))


def heard(r, name: str, word: str) -> None:
    """Wait until the step has printed `word`."""
    until = time.monotonic() + 5
    while word not in r.log.out(name):
        assert time.monotonic() < until
        assert r.pool.wait(0.02) == []


@pytest.mark.parametrize(
    ("function", "kind", "fault", "said"),
    [
        (segfaults, StepCrashed, Fault.USER, "was killed by signal 11 (SIGSEGV)"),
        (aborts, StepCrashed, Fault.USER, "was killed by signal 6 (SIGABRT)"),
        (exits, StepCrashed, Fault.USER, "ended its process with exit code 0 before it returned"),
        (kills_itself, WorkerDied, Fault.INFRASTRUCTURE, "was killed by signal 9 (SIGKILL) from outside, at "),
    ],
)
def test_a_process_that_dies_is_named_and_the_next_attempt_has_a_new_one(rig, function, kind, fault, said) -> None:
    r = rig(function, number)
    name = function.__name__
    result = r.run(name)
    assert (result.state, result.fault, type(result.error)) == (StepState.FAILED, fault, kind)
    assert result.error.message.startswith(f"step {name!r} {said}")
    assert r.run("number").state is StepState.COMPLETED
    assert r.log.opened == r.log.closed == [(name, 1), ("number", 1)]


def test_a_worker_that_was_killed_while_it_was_idle_costs_nothing(rig) -> None:
    r = rig(number, slots=1)
    for how in (signal.SIGKILL, signal.SIGTERM):
        assert r.run("number").state is StepState.COMPLETED
        (seat,) = r.pool._seats.values()
        os.kill(seat.pid, how)
        until = time.monotonic() + 5
        while seat.alive():  # until its last thread has ended
            assert time.monotonic() < until
    assert r.run("number").state is StepState.COMPLETED


def test_a_crash_leaves_the_stack_in_the_log(rig) -> None:
    r = rig(segfaults)
    r.run("segfaults")
    assert "in segfaults" in r.log.err("segfaults")


@pytest.mark.parametrize("function", [terminated_from_outside, terminated_bluntly])
def test_sigterm_from_somebody_else_is_preemption(rig, function) -> None:
    result = rig(function).run(function.__name__)
    assert (result.state, result.fault) == (StepState.PREEMPTED, Fault.INFRASTRUCTURE)
    assert isinstance(result.error, StepPreempted)


def test_children_that_come_back_through_the_step_are_ended(rig) -> None:
    r = rig(forks_and_returns, forks_and_raises, number)
    assert r.run("forks_and_returns").state is StepState.COMPLETED
    assert r.run("forks_and_raises").outputs["output"].inline == b"1"
    assert "ValueError: in the child" in r.log.err("forks_and_raises")
    assert r.run("number").state is StepState.COMPLETED


def test_a_daemon_of_a_step_is_killed_after_it(rig, gone) -> None:
    result = rig(daemonises).run("daemonises")
    assert result.state is StepState.COMPLETED
    assert gone(int(result.outputs["output"].inline))


def test_a_daemon_of_a_step_that_is_killed_dies_with_it(rig, gone, tmp_path) -> None:
    r = rig(daemonises_and_dies)
    r.run("daemonises_and_dies", parameters={"path": str(tmp_path / "pid")})
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("function", [sleeps, spins, ignores, stops_itself, stubborn])
def test_a_timeout_ends_any_step(rig, function) -> None:
    r = rig(function, step={"timeout": 0.3}, grace=0.2)
    began = time.monotonic()
    result = r.run(function.__name__)
    assert time.monotonic() - began < 30  # by themselves they take a minute, or for ever
    assert (result.state, result.fault) == (StepState.FAILED, Fault.USER)
    assert isinstance(result.error, StepTimeout)
    assert isinstance(result.error, TimeoutError)
    assert result.error.message == f"step {function.__name__!r} timed out after 0.3 s"
    assert result.seconds >= 0.3


def test_a_timeout_tells_where_the_step_was(rig) -> None:
    result = rig(sleeps, step={"timeout": 0.1}).run("sleeps")
    assert result.told["type"] == "StepTimeout"
    assert result.told["where"].startswith("test_death.py:")
    assert "time.sleep(60)" in result.told["traceback"]


def test_a_step_that_is_told_to_end_is_interrupted(rig) -> None:
    r = rig(hooked)
    task = r.launch("hooked")
    heard(r, "hooked", "hooked")
    r.pool.stop(task, now=False)
    began = time.monotonic()
    assert r.ended()["hooked"].state is StepState.CANCELLED
    assert time.monotonic() - began < 5  # the grace
    assert [event[0] for event in r.events] == ["checkpoint"]


def test_a_step_that_looks_may_return_by_itself(rig) -> None:
    r = rig(looks)
    task = r.launch("looks")
    heard(r, "looks", "looking")
    r.pool.stop(task, now=False)
    result = r.ended()["looks"]
    assert (result.state, result.outputs["output"].inline) == (StepState.COMPLETED, b"1")


def test_a_step_that_does_not_end_is_killed_after_the_grace(rig) -> None:
    r = rig(stubborn, grace=0.3)
    task = r.launch("stubborn")
    heard(r, "stubborn", "stubborn")
    r.pool.stop(task, now=False)
    result = r.ended()["stubborn"]
    assert result.state is StepState.CANCELLED
    assert "did not end within 0.3 s" in str(result.error)
    assert "caught Terminated" in r.log.out("stubborn")


def test_now_means_now_also_before_the_worker_is_there(rig) -> None:
    r = rig(stubborn, number, slots=1)
    task = r.launch("stubborn")
    r.pool.stop(task, now=True)
    began = time.monotonic()
    assert r.ended()["stubborn"].state is StepState.CANCELLED
    assert time.monotonic() - began < 5  # the grace
    assert r.run("number").state is StepState.COMPLETED


def test_told_to_end_before_it_began_it_is_cancelled(rig) -> None:
    r = rig(sleeps)
    task = r.launch("sleeps")
    r.pool.stop(task, now=False)
    assert r.ended()["sleeps"].state is StepState.CANCELLED
    never = r.task("sleeps")
    r.pool.stop(never, now=False)
    assert r.pool.wait(None)[0][0] is never


def test_leaving_the_pool_ends_what_is_at_work(rig, gone) -> None:
    r = rig(ignores, daemonises)
    r.run("daemonises")
    r.launch("ignores")
    r.pool.wait(0.2)
    pids = [seat.pid for seat in r.pool._seats.values()]
    began = time.monotonic()
    r.pool.__exit__(None, None, None)
    assert time.monotonic() - began < 5  # the grace
    assert all(gone(pid, 0.1) for pid in pids)
    r.pool.__enter__()


GROUP = Path("/sys/fs/cgroup/memory")
HOG = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
group = Path({group!r})
(group / "cgroup.procs").write_text("0")
from conftest import Rig
from test_death import hoards
r = Rig(Path({folder!r}), (hoards,))
with r.pool:
    result = r.run("hoards")
print(type(result.error).__name__, result.fault, result.error.message)
"""


def test_out_of_memory_is_told_from_other_kills(tmp_path, python) -> None:
    group = make_group()
    try:
        path = [os.path.dirname(__file__), *sys.path]
        said = python("-c", HOG.format(path=path, group=str(group), folder=str(tmp_path))).stdout
    finally:
        group.rmdir()
    assert said.startswith(f"{OutOfMemory.__name__} user step 'hoards' ran out of memory: the kernel killed it at ")
    size = float(said.split(" at ")[1].split()[0])
    assert 60 < size < 140  # MiB


def make_group() -> Path:
    """A control group with 128 MiB; the test is skipped where none can be made."""
    for root, limit in ((GROUP, "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")):
        try:
            group = root / f"core-test-{os.getpid()}"
            group.mkdir()
            (group / limit).write_text(str(128 << 20))
        except OSError as error:
            why = error
            if group.is_dir():
                group.rmdir()
            continue
        return group
    pytest.skip(f"no control group for memory can be made here: {why}")
