"""The scheduler: what is ready, further tries, failures; on launchers that end attempts in any order."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import Client, Retry, RunFailed, get_context, pipeline, step
from core.errors import StoreError
from core.model.spec import RunOptions
from core.model.states import RunState, StepState
from core.testing.launcher import ShuffledLauncher

calls: deque[str] = deque()  # no constant to the cache key, as a list would be


@step(cache=False)
def add(name: str, parts: list[int]) -> int:
    calls.append(name)
    return sum(parts) + 1


@step(cache=False)
def fail(parts: list[int]) -> int:
    calls.append("fail")
    raise ValueError("on purpose")


@step(cache=False, retry=Retry(attempts=3, delay=0.01, infrastructure=2))
def shaky(faults: list[str]) -> int:
    number = sum(call == "shaky" for call in calls)
    calls.append("shaky")
    if number < len(faults):
        raise {"user": ValueError, "store": StoreError}[faults[number]]("not yet")
    return number


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    calls.clear()


@pytest.fixture
def shuffled(monkeypatch: pytest.MonkeyPatch) -> list[ShuffledLauncher]:
    """Runs go through launchers that end attempts in any order; they are kept here."""
    made: list[ShuffledLauncher] = []

    def make(bench: Any, *_: object) -> ShuffledLauncher:
        made.append(ShuffledLauncher(bench, 4, seed=len(made)))
        return made[-1]

    monkeypatch.setattr("core.schedule.owner._launcher", make)
    return made


graphs = st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=12)


@given(graphs, st.integers(0, 1000))
def test_every_step_runs_once_after_all_that_it_takes_from(shape: list[list[int]], seed: int) -> None:
    edges = [sorted({index % number for index in wanted}) if number else [] for number, wanted in enumerate(shape)]

    @pipeline
    def flow() -> None:
        made: list[Any] = []
        for number, wanted in enumerate(edges):
            made.append(add.with_options(name=f"n{number}")(f"n{number}", [made[index] for index in wanted]))

    calls.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.schedule.owner._launcher", lambda bench, *_: ShuffledLauncher(bench, 3, seed))
        run = flow()
    assert run.state == RunState.COMPLETED
    assert sorted(calls) == sorted(f"n{number}" for number in range(len(edges)))
    place = {name: index for index, name in enumerate(calls)}
    assert all(place[f"n{b}"] < place[f"n{a}"] for a, wanted in enumerate(edges) for b in wanted)


def test_steps_that_are_ready_together_are_at_work_together_up_to_the_slots(shuffled: list[ShuffledLauncher]) -> None:
    @pipeline
    def wide() -> None:
        for number in range(10):
            add(f"n{number}", [])

    wide()
    assert shuffled[0].most == 4


def test_a_failure_skips_what_depends_on_it_and_nothing_else(shuffled: list[ShuffledLauncher]) -> None:
    @pipeline
    def flow() -> None:
        first = add.with_options(name="first")("first", [])
        broken = fail([first])
        add.with_options(name="after")("after", [broken, first])
        add.with_options(name="beside")("beside", [first])

    with pytest.raises(RunFailed, match="in step 'fail'"):
        flow()
    steps = Client().run().steps
    assert {name: str(one.state) for name, one in steps.items()} == {
        "first": "completed",
        "fail": "failed",
        "after": "skipped",
        "beside": "completed",
    }


@pytest.mark.parametrize(
    ("faults", "state", "tries"),
    [
        (["user", "user"], StepState.COMPLETED, 3),
        (["user", "user", "user"], StepState.FAILED, 3),
        (["store", "store"], StepState.COMPLETED, 3),
        (["store", "store", "store"], StepState.FAILED, 3),
        (["user", "store", "user", "store"], StepState.COMPLETED, 5),
    ],
)
def test_failures_of_the_step_and_of_the_infrastructure_have_budgets_of_their_own(
    faults: list[str], state: StepState, tries: int
) -> None:
    @pipeline
    def flow() -> None:
        shaky(faults)

    try:
        run = flow()
    except RunFailed as failed:
        run = failed.run
    found = run.steps["shaky"]
    assert (found.state, len(found.attempts)) == (state, tries)
    told = [(a.error["type"], a.fault, a.retried) for a in found.attempts if a.error]
    kinds = {"user": ("ValueError", "user"), "store": ("StoreError", "infrastructure")}
    assert [item[:2] for item in told] == [kinds[fault] for fault in faults[:tries]]
    assert [item[2] for item in told] == [index + 1 < tries for index in range(len(told))]


def test_two_runs_that_want_the_same_result_work_once() -> None:
    begun, go = threading.Event(), threading.Event()

    @step
    def slow(x: int) -> int:
        calls.append("slow")
        begun.set()
        go.wait(20)
        return x

    @pipeline
    def flow() -> None:
        slow(1)

    runs: list[Any] = []
    first = threading.Thread(target=lambda: runs.append(flow()))
    second = threading.Thread(target=lambda: runs.append(flow()))
    first.start()
    begun.wait(20)
    second.start()
    threading.Timer(0.3, go.set).start()
    first.join(30)
    second.join(30)
    assert calls.count("slow") == 1
    assert sorted(str(run.steps["slow"].state) for run in runs) == ["completed", "reused"]


def test_when_the_one_that_works_fails_another_tries() -> None:
    begun, go = threading.Event(), threading.Event()

    @step
    def slow(x: int) -> int:
        calls.append("slow")
        begun.set()
        go.wait(20)
        if len(calls) == 1:
            raise ValueError("the first fails")
        return x

    @pipeline
    def flow() -> None:
        slow(1)

    states: list[str] = []

    def run() -> None:
        try:
            states.append(str(flow().state))
        except RunFailed as failed:
            states.append(str(failed.run.state))

    threads = [threading.Thread(target=run) for _ in range(2)]
    threads[0].start()
    begun.wait(20)
    threads[1].start()
    threading.Timer(0.3, go.set).start()
    for thread in threads:
        thread.join(30)
    assert sorted(states) == ["completed", "failed"]
    assert calls.count("slow") == 2


def test_a_retried_step_goes_on_from_its_checkpoint() -> None:
    @step(cache=False, retry=Retry(attempts=2, delay=0.01))
    def train(epochs: int) -> list[int]:
        context = get_context()
        done = context.last_checkpoint([])
        calls.append(f"from {len(done)}")
        for epoch in range(len(done), epochs):
            if epoch == 2 and context.attempt == 1:
                raise ValueError("lost power")
            done = [*done, epoch]
            context.checkpoint(done)
        return done  # type: ignore[no-any-return]

    @pipeline
    def flow() -> None:
        train(4)

    assert flow().steps["train"].outputs["output"].load() == [0, 1, 2, 3]
    assert list(calls) == ["from 0", "from 2"]


def test_fail_fast_stops_what_does_not_depend_on_the_failure(shuffled: list[ShuffledLauncher]) -> None:
    @pipeline
    def flow() -> None:
        add.with_options(name="later")("later", [fail([])])
        for number in range(6):
            add.with_options(name=f"n{number}")(f"n{number}", [add.with_options(name=f"m{number}")("m", [])])

    with pytest.raises(RunFailed) as raised:
        flow.run({}, RunOptions(fail_fast=True))
    states = {str(one.state) for name, one in raised.value.run.steps.items() if name.startswith("n")}
    assert "skipped" in states
