"""How the nursery starts, and that nothing outlives the driver or the nursery, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core import faults
from core.errors import ConfigurationError, WorkerDied
from core.model.states import Fault, StepState
from core.pool import start


class Grumble(Exception):
    pass


def number() -> int:
    return 7


def grumbles() -> None:
    raise Grumble("hm")


def sleeps() -> None:
    time.sleep(60)


def alive(word: str) -> list[int]:
    """Processes whose environment or command holds `word`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and word in (entry / "environ").read_text() + (entry / "cmdline").read_text():
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                found += [int(entry.name)] if state not in "ZX" else []
        except OSError:
            continue
    return found


def test_a_fresh_nursery_does_the_same(rig) -> None:
    r = rig(number, grumbles, start="fresh")
    assert r.run("number").outputs["output"].inline == b"7"
    result = r.run("grumbles")
    assert (type(result.error).__name__, str(result.error)) == ("Grumble", "hm")
    assert result.told["where"].startswith("test_start.py:")


def test_a_step_that_cannot_travel_is_named_before_anything_runs(rig, monkeypatch) -> None:
    lock = threading.Lock()

    def locked() -> bool:
        return lock.locked()

    with pytest.raises(ConfigurationError, match=r"step 'locked' .* can't be copied into a worker process") as raised:
        rig(number, locked, start="fresh")
    assert "--workers 1" in raised.value.hint
    monkeypatch.setenv("CORE_START", "fork")
    assert rig(number, locked, start="fresh").run("locked").state is StepState.COMPLETED


def test_a_way_to_start_that_there_is_not_is_refused(rig, monkeypatch) -> None:
    monkeypatch.setenv("CORE_START", "spoon")
    with pytest.raises(ConfigurationError, match="CORE_START='spoon'"):
        rig(number)


_enumerate = threading.enumerate


def test_a_program_with_threads_is_not_forked(monkeypatch) -> None:
    mine = threading.enumerate()  # tests before this one may have left some at work
    monkeypatch.setattr(start.threading, "enumerate", lambda: [each for each in _enumerate() if each not in mine])
    assert start.why_not_fork() == ""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="mine")
    thread.start()
    assert start.why_not_fork() == "thread 'mine' is at work"
    stop.set()
    thread.join()
    monkeypatch.setitem(sys.modules, "jax", sys)
    assert "jax" in start.why_not_fork()


OPENMP = """
import sys
sys.path[:0] = {path!r}
import numpy as np
from pathlib import Path
from sklearn.ensemble import HistGradientBoostingClassifier
from conftest import Rig

def fits() -> int:
    rows = np.random.rand(20000, 8)
    HistGradientBoostingClassifier(max_iter=3).fit(rows, rows[:, 0] > 0.5)
    return 1

fits()
r = Rig(Path({folder!r}), (fits,), step=dict(timeout=20))
with r.pool:
    print(r.run("fits").state)
fits()
"""


@pytest.mark.skipif(
    os.environ.get("CORE_FAULTS") != "1", reason="imports scikit-learn once more: CORE_FAULTS=1 runs it"
)
def test_libraries_that_used_openmp_before_the_fork_work_after_it(tmp_path, python) -> None:
    pytest.importorskip("sklearn")
    path = [os.path.dirname(__file__), *sys.path]
    assert python("-c", OPENMP.format(path=path, folder=str(tmp_path))).stdout == "completed\n"


@pytest.mark.parametrize("way", ["fork", "fresh"])
def test_attempts_fail_with_the_nursery_and_a_new_one_goes_on(rig, gone, way) -> None:
    r = rig(sleeps, number, start=way)
    task = r.launch("sleeps")
    assert r.pool.wait(0.3) == []
    worker = r.pool._seats[1].pid
    os.kill(r.pool._nursery.pid, signal.SIGKILL)
    result = r.ended()["sleeps"]
    assert (result.fault, type(result.error)) == (Fault.INFRASTRUCTURE, WorkerDied)
    assert task.number == 1
    assert r.run("number").state is StepState.COMPLETED
    assert gone(worker)


def test_a_nursery_that_died_while_nothing_was_at_work_costs_nothing(rig, gone) -> None:
    r = rig(number)
    os.kill(r.pool._nursery.pid, signal.SIGKILL)
    assert gone(r.pool._nursery.pid)
    assert r.run("number").state is StepState.COMPLETED


SCRIPT = """
import os, signal, subprocess, sys, time
from core import pipeline, step
from core.model.spec import RunOptions

class Model:
    def __init__(self, weight: float) -> None:
        self.weight = weight

@step
def train(rate: float) -> Model:
    print("trained", rate)
    return Model(rate)

@step
def score(models: list[Model]) -> float:
    assert type(models[0]) is Model, (type(models[0]), Model)
    return sum(model.weight for model in models)

@pipeline
def both() -> float:
    return score([train(1.5), train(2.5)])

run = both.run({}, RunOptions(workers=2))
print("in all", run.steps["score"].outputs["output"].load())
"""


@pytest.mark.parametrize("way", ["fork", "fresh"])
def test_a_script_without_a_guard_runs_once(tmp_path, python, way) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    printed = python(script, env={**os.environ, "CORE_START": way}, cwd=tmp_path).stdout
    assert printed.splitlines()[-1] == "in all 4.0"
    assert printed.count("in all") == 1


KILLED = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from conftest import Rig
import os, signal, subprocess, time

def family(how: str = "") -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "60"])
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    print("ready", flush=True)
    if how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)

r = Rig(Path({folder!r}), (family,), start={way!r})
with r.pool:
    r.launch("family", parameters={{"how": ""}})
    r.launch("family", parameters={{"how": "stopped"}})
    while r.log.out("family", 1) + r.log.out("family", 2) != "ready\\n" * 2:
        r.pool.wait(0.05)
    print("all there", flush=True)
    r.pool.wait(60)
"""


@pytest.mark.parametrize("way", ["fork", "fresh"])
def test_nothing_outlives_a_driver_that_is_killed(tmp_path, way) -> None:
    path = [os.path.dirname(__file__), *sys.path]
    mark = f"POOL_TEST={tmp_path.name}-{way}-{os.getpid()}"
    source = KILLED.format(path=path, folder=str(tmp_path), way=way)
    name, _, word = mark.partition("=")
    driver = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, env={**os.environ, name: word})
    with driver:
        try:
            assert driver.stdout.readline() == b"all there\n"
            until = time.monotonic() + 10  # a daemon may be there a moment after who made it
            while len(there := alive(mark)) < 8:  # driver, nursery, two workers, two sleeps, two daemons
                assert time.monotonic() < until, there
                time.sleep(0.02)
        finally:
            driver.kill()
    until = time.monotonic() + 5
    while alive(mark):
        assert time.monotonic() < until, alive(mark)
        time.sleep(0.02)


@pytest.fixture
def arm():
    yield faults.arm
    faults.arm("")


@pytest.mark.parametrize(
    ("point", "kind"),
    [
        ("worker.forked=kill", WorkerDied),
        ("task.sent=drop", WorkerDied),
        ("task.received=kill", WorkerDied),
        ("task.replied=drop", WorkerDied),
        ("task.replied=kill", WorkerDied),
        ("reply.received=drop", WorkerDied),
    ],
)
def test_a_message_or_a_worker_that_is_lost_costs_one_attempt(rig, arm, monkeypatch, point, kind) -> None:
    monkeypatch.setattr("core.pool.wire.REMIND", 0.2)
    monkeypatch.setattr("core.pool.pool.SLACK", 0.1)
    arm(point)
    r = rig(number)
    result = r.run("number")
    assert (result.state, result.fault, type(result.error)) == (StepState.FAILED, Fault.INFRASTRUCTURE, kind)
    arm("")
    r.pool.__exit__(None, None, None)
    r.pool.__enter__()
    assert r.run("number").state is StepState.COMPLETED
