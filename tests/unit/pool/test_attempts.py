"""Attempts in workers: values in and out, errors back, events, checkpoints; each begins as if the process were new."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from core import get_context, log_metadata
from core.artifacts import load, save
from core.errors import CorruptDataError, StoreError, UsageError
from core.model.graph import Collect, Edge
from core.model.states import Fault, StepState


class Odd(ValueError):
    """Can't be made again from its arguments."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def number() -> int:
    return 7


def process() -> int:
    return os.getpid()


def meets(folder: str) -> bool:
    """Whether four of them are at work at one time."""
    (Path(folder) / str(os.getpid())).touch()
    until = time.monotonic() + 30
    while len(os.listdir(folder)) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    return len(os.listdir(folder)) == 4


def nap() -> float:
    time.sleep(0.3)
    return time.monotonic()


def odd() -> None:
    raise Odd(1, 2)


def local_class() -> None:
    class Here(KeyError):
        pass

    raise Here("gone")


def bad_pickle() -> None:
    error = LookupError("holds a lock")
    error.lock = threading.Lock()
    raise error


def leaves() -> None:
    raise SystemExit(4)


def total(array: np.ndarray) -> list[float]:
    return [float(array.sum()), *memory()]


def memory() -> list[int]:
    """KiB of this process: copies of its own, and all that is mapped."""
    lines = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()]
    found = {words[0]: int(words[1]) for words in lines if words[-1] == "kB"}
    return [found["Anonymous:"], found["Rss:"]]


def reads(thing: object) -> str:
    return str(thing)


def counts(things: list[str]) -> int:
    return len(things)


def logs() -> None:
    log_metadata(loss=0.5)


def keeps(value: int = 5) -> int:
    context = get_context()
    before = context.last_checkpoint(0)
    context.checkpoint(before + value)
    return before


def changes() -> None:
    os.chdir("/")
    os.umask(0o777)
    os.environ["STRAY"] = "1"
    os.environ.pop("PATH")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})


def surroundings() -> list[str]:
    mask = os.umask(0o22)
    handler = signal.getsignal(signal.SIGUSR1)
    return [os.getcwd(), oct(mask), os.environ.get("STRAY", ""), str("PATH" in os.environ), str(handler)]


def draws() -> list[float]:
    return [random.random(), float(np.random.rand())]  # noqa: NPY002, S311


def asks() -> str:
    return input("name? ")


def debugs() -> None:
    breakpoint()  # noqa: T100


def value(rig, result):
    bench = rig.bench
    return load(result.outputs["output"], store=bench.store, materializers=bench.materializers, trusted=lambda _: True)


def test_a_step_runs_in_another_process_which_is_used_again(rig) -> None:
    r = rig(process)
    pids = {value(r, r.run("process")) for _ in range(5)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_attempts_run_side_by_side(rig, tmp_path) -> None:
    r = rig(meets, slots=4)
    (tmp_path / "here").mkdir()
    for _ in range(4):
        r.launch("meets", parameters={"folder": str(tmp_path / "here")})
    ended = []
    while len(ended) < 4:
        ended += r.pool.wait(5)
    assert {task.number for task, _ in ended} == {1, 2, 3, 4}
    assert all(value(r, result) for _, result in ended)


def test_wait_gives_back_nothing_when_nothing_ends(rig) -> None:
    r = rig(nap)
    assert r.pool.wait(None) == []
    assert r.pool.wait(0.01) == []
    r.launch("nap")
    assert r.pool.wait(0.05) == []
    assert len(r.pool.wait(None)) == 1


def test_what_a_step_raises_comes_back_with_its_traceback(rig) -> None:
    result = rig(odd).run("odd")
    assert (result.state, result.fault) == (StepState.FAILED, Fault.USER)
    assert isinstance(result.error, Odd)
    assert str(result.error) == "1 and 2"
    assert result.told["type"] == "Odd"
    assert "raise Odd(1, 2)" in result.told["traceback"]
    assert "core/pool" not in result.told["traceback"]


@pytest.mark.parametrize(
    ("function", "base", "name", "said"),
    [
        (local_class, KeyError, "Here", "gone"),
        (bad_pickle, LookupError, "LookupError", "holds a lock"),
        (leaves, SystemExit, "SystemExit", "4"),
    ],
)
def test_every_error_travels_somehow(rig, function, base, name, said) -> None:
    result = rig(function).run(function.__name__)
    assert isinstance(result.error, base)
    assert type(result.error).__name__ == name
    assert said in str(result.error)
    assert result.state is StepState.FAILED


def test_a_large_array_reaches_a_worker_without_a_copy(rig) -> None:
    r = rig(total, memory)
    r.pool.launch(r.task("memory", {}))
    before, _ = value(r, r.ended()["memory"])  # what the worker has of the driver's
    array = np.arange(25_000_000, dtype=np.float64)
    ref = save(array, store=r.bench.store, materializers=r.bench.materializers)
    task = r.task("total", {"make": {"array": ref}, "other": {"output": ref}}, inputs={"array": Edge("make", "array")})
    r.pool.launch(task)
    found, own, all_of_it = value(r, r.ended()["total"])
    assert found == float(array.sum())
    assert own - before < 60_000  # the array has 200,000
    assert all_of_it > 190_000  # the map itself


def test_a_step_may_take_a_great_many_inputs(rig) -> None:
    r = rig(counts)
    ref = save("x" * 5000, store=r.bench.store, materializers=r.bench.materializers)
    done = {f"make[{index}]": {"output": ref._replace(preview={"n": index})} for index in range(2000)}
    items = Collect("list", tuple(("", Edge(name, "output")) for name in done))
    task = r.task("counts", done, inputs={"things": items})
    r.pool.launch(task)
    assert value(r, r.ended()["counts"]) == 2000


def test_a_pickle_that_the_driver_handed_over_is_trusted(rig) -> None:
    r = rig(reads)
    thing = threading.RLock  # as good as any that only a pickle can hold
    given = save(thing, store=r.bench.store, materializers=r.bench.materializers, name="cloudpickle")
    task = r.task("reads", {"make": {"output": given}}, inputs={"thing": Edge("make", "output")})
    r.pool.launch(task)
    assert "RLock" in value(r, r.ended()["reads"])


def test_events_reach_the_driver_in_its_own_thread(rig) -> None:
    r = rig(logs)
    r.run("logs")
    kind, step, attempt, now, data, thread = r.events[0]
    assert (kind, step, attempt, now, data) == ("metadata", "logs", 1, False, {"values": {"loss": 0.5}})
    assert thread is threading.current_thread()


def test_a_checkpoint_is_durable_before_the_step_goes_on(rig) -> None:
    r = rig(keeps)
    assert value(r, r.run("keeps")) == 0
    kind, _, _, now, data, _ = r.events[0]
    assert (kind, now) == ("checkpoint", True)
    from core.model.artifact import ArtifactRef

    again = r.task("keeps")._replace(checkpoint=ArtifactRef.from_data(data["artifact"]))
    r.pool.launch(again)
    assert value(r, r.ended()["keeps"]) == 5


def test_a_checkpoint_that_cannot_be_recorded_is_the_steps_to_handle(rig, monkeypatch) -> None:
    r = rig(keeps)

    def away(*_: object, **__: object) -> None:
        raise StoreError("the disk is full", "free some")

    r.bench = r.pool._bench = r.bench._replace(emit=away)
    result = r.run("keeps")
    assert isinstance(result.error, StoreError)
    assert (result.error.message, result.fault) == ("the disk is full", Fault.INFRASTRUCTURE)


def test_a_lost_acknowledgement_is_asked_for(rig, monkeypatch) -> None:
    monkeypatch.setattr("core.pool.wire.REMIND", 0.1)
    r = rig(keeps)
    monkeypatch.setattr("core.pool.pool.failpoint", lambda name: name == "event.acknowledged")
    assert r.run("keeps").state is StepState.COMPLETED


def test_what_a_step_changes_of_its_process_is_put_back(rig) -> None:
    r = rig(surroundings, changes)
    before = value(r, r.run("surroundings"))
    r.run("changes")
    assert value(r, r.run("surroundings")) == before
    assert len(r.pool._seats) == 1


def test_side_by_side_steps_draw_different_numbers_and_the_same_again(rig, tmp_path) -> None:
    found = []
    for _ in range(2):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        r = rig(draws)
        found.append([value(r, r.run("draws")) for _ in range(3)])
    assert found[0] == found[1]
    assert len({tuple(each) for each in found[0]}) == 3


@pytest.mark.parametrize("function", [asks, debugs])
def test_a_step_that_wants_a_terminal_is_told_what_to_do(rig, function) -> None:
    error = rig(function).run(function.__name__).error
    assert isinstance(error, UsageError)
    assert "--workers 1" in error.hint
    assert function.__name__ in error.message


def test_corrupt_inputs_are_named(rig) -> None:
    r = rig(total)
    ref = save(np.zeros(100_000), store=r.bench.store, materializers=r.bench.materializers)
    path = Path(r.bench.store.path(ref.digest))
    path.chmod(0o600)
    path.write_bytes(b"other")
    task = r.task("total", {"make": {"array": ref}}, inputs={"array": Edge("make", "array")})
    r.pool.launch(task)
    assert isinstance(r.ended()["total"].error, CorruptDataError)
