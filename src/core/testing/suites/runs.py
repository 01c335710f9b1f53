"""Conformance suite: behaviours of steps on graphs of every shape, wherever steps run; orchestrators join by name."""

from __future__ import annotations

import os
import time
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from core import Client, Retry, RunFailed, get_context, log_metadata, pipeline, step
from core.model.spec import RunOptions
from core.model.states import RunState
from core.resume import cancel
from core.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, ClassVar

    from core.run import Pipeline
    from core.view import RunView

LARGE = 30_000
"""Numbers in a list that is too large to lie inline."""


class Again(Exception):
    """What is worth another try."""


def act(behaviour: str) -> int:
    """Do what `behaviour` says, as a rule in the first attempt only; gives what is added to the step's result."""
    context = get_context()
    first = context.attempt == 1
    if behaviour == "prints":
        print(f"{context.step} was here", flush=True)  # noqa: T201 - that is what is tested
        log_metadata(step=context.step)
    elif behaviour == "raises" and first:
        raise ValueError("once")
    elif behaviour == "tries again" and first:
        raise Again
    elif behaviour == "keeps a checkpoint":
        if first:
            context.checkpoint(41)
            raise Again
        return int(context.last_checkpoint(0))
    elif behaviour == "dies" and first:
        os.kill(os.getpid(), 9)
    elif behaviour in {"hangs", "waits"} and first:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.02)
    return 0


@step
def source(length: int = 3) -> list[int]:
    """A list to map over."""
    return list(range(length))


@step(retry=Retry(attempts=2, delay=0.001, on=(Again,)))
def odd(behaviour: str, data: list[int]) -> list[int]:
    """The step that behaves."""
    extra = act(behaviour)
    return [LARGE] * LARGE if behaviour == "returns much" else [item + extra for item in data]


@step(retry=Retry(attempts=2, delay=0.001, on=(Again,)))
def each(item: int, behaviour: str) -> int:
    """Of several calls the one that is given 1 behaves."""
    return item + (act(behaviour) if item == 1 else 0)


@step
def work(data: list[int]) -> list[int]:
    """A step as any other."""
    return data


@step
def join(parts: list[list[int]]) -> int:
    """Takes a list of outputs."""
    return sum(sum(part) for part in parts)


@step
def total(parts: list[int]) -> int:
    """Takes the results of a map."""
    return sum(parts)


@step
def rows() -> list[list[int]]:
    """Lists in a list."""
    return [[0, 2], [], [1, 3]]


@step
def holds(data: list[int], wanted: int) -> bool:
    """A condition."""
    return len(data) == wanted


def named(name: str) -> Any:
    """`work` under another name."""
    return work.with_options(name=name)


@pipeline
def single(behaviour: str) -> None:
    """One step."""
    odd(behaviour, [1, 2])


@pipeline
def chain(behaviour: str) -> None:
    """One after another."""
    join([named("after")(odd(behaviour, named("before")(source())))])


@pipeline
def fan(behaviour: str) -> None:
    """Out and in."""
    data = source()
    join([named("left")(data), odd(behaviour, data), named("right")(data)])


@pipeline
def diamond(behaviour: str) -> None:
    """Two branches."""
    data = source()
    join([odd(behaviour, named("left")(data)), named("lower")(named("right")(data))])


@pipeline
def wide(behaviour: str) -> None:
    """Steps that have nothing to do with each other."""
    odd(behaviour, [1, 2])
    for name in ("one", "two", "three"):
        named(name)([1])


@pipeline
def mapped(behaviour: str) -> None:
    """As many calls as there are items."""
    total(each.map(source(), behaviour=behaviour))


@pipeline
def nested(behaviour: str) -> None:
    """Lists in lists, reduced twice."""
    total.with_options(name="all")(total.map(each.map(rows(), behaviour=behaviour)))


@pipeline
def conditional(behaviour: str) -> None:
    """One branch of two."""
    data = source()
    yes, no = holds.with_options(name="yes")(data, 3), holds.with_options(name="no")(data, 4)
    named("then")(odd.with_options(when=yes)(behaviour, data))
    named("else").with_options(when=no)(data)


SHAPES: dict[str, tuple[Pipeline[Any, Any], str, str]] = {
    "single": (single, "odd", ""),
    "chain": (chain, "odd", "after join"),
    "fan": (fan, "odd", "join"),
    "diamond": (diamond, "odd", "join"),
    "wide": (wide, "odd", ""),
    "mapped": (mapped, "each[1]", "total"),
    "nested": (nested, "each[2][0]", "total[2] all"),
    "conditional": (conditional, "odd", "then"),
}
"""Of each shape the pipeline, the step that behaves, and what depends on that."""


class RunSuite:
    """Subclass it as `Test...`, and say in `options` or in the fixture `place` where the steps of a run are to run.

    Where that is slow, override the fixture `shape` with some of the shapes.
    """

    options: ClassVar[RunOptions] = RunOptions()
    """Options of every run."""
    own_process: ClassVar[bool] = True
    """Whether a step that dies leaves the driver alive."""
    timeout: ClassVar[float] = 0.3
    """Seconds that a step may take in the test of timeouts: more than it takes to start one."""

    @pytest.fixture(params=SHAPES)
    def shape(self, request: pytest.FixtureRequest) -> str:
        """Name of the graph's shape."""
        return str(request.param)

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A home of the test's own; override it to set a stack there."""
        monkeypatch.setenv("CORE_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("CORE_DISPLAY", "none")
        monkeypatch.setenv("CORE_GRACE", "1")
        monkeypatch.setenv("CORE_HEARTBEAT", "1")

    def run(self, shape: str, behaviour: str, **options: Any) -> RunView:
        """One run of `shape`; raises as it does."""
        return SHAPES[shape][0].run({"behaviour": behaviour}, self.options._replace(**options))

    def fails(self, shape: str, behaviour: str, **options: Any) -> RunView:
        """The run, which must fail."""
        with pytest.raises(RunFailed) as raised:
            self.run(shape, behaviour, **options)
        assert raised.value.run is not None
        return raised.value.run

    def states(self, run: RunView) -> dict[str, str]:
        """State by step."""
        return {name: str(found.state) for name, found in run.steps.items()}

    def attempts(self, run: RunView, shape: str) -> list[str]:
        """States of the attempts of the step that behaves; every other step that ran has one."""
        special = SHAPES[shape][1]
        assert all(len(found.attempts) == 1 for name, found in run.steps.items() if name != special)
        return [str(attempt.state) for attempt in run.steps[special].attempts]

    def all_done(self, run: RunView, word: str = "completed") -> None:
        """Every step has `word` for its state, but for the branch that is not taken."""
        assert run.state is RunState.COMPLETED
        assert self.states(run) == {name: "skipped" if name == "else" else word for name in run.steps}

    def test_returns(self, shape: str) -> None:
        """Each step runs once, values go along the edges; the second run reuses every one."""
        run = self.run(shape, "returns")
        self.all_done(run)
        assert self.attempts(run, shape) == ["completed"]
        sums = {"chain": ("join", 3), "fan": ("join", 9), "diamond": ("join", 6), "mapped": ("total", 3)}
        name, value = {**sums, "nested": ("all", 6)}.get(shape, ("", 0))
        if name:
            assert run.steps[name].outputs["output"].load() == value
        self.all_done(self.run(shape, "returns"), "reused")

    def test_returns_much(self, shape: str) -> None:
        """What does not lie inline is handed on and can be loaded afterwards."""
        run = self.run(shape, "returns much")
        self.all_done(run)
        for name, found in run.steps.items():
            if name in {"odd", "after", "then"}:
                assert found.outputs["output"].load() == [LARGE] * LARGE

    def test_prints(self, shape: str) -> None:
        """What a step prints is in its log, and only there; what it tells is its own."""
        run = self.run(shape, "prints")
        special = SHAPES[shape][1]
        for name, found in run.steps.items():
            assert found.log() == (f"{special} was here\n" if name == special else "")
            assert found.metadata == ({"step": special} if name == special else {})

    def test_raises(self, shape: str) -> None:
        """What depends on the failure is skipped, the rest is done; the run goes on from there."""
        run = self.fails(shape, "raises")
        _, special, dependent = SHAPES[shape]
        states = self.states(run)
        assert (run.state, states[special]) == (RunState.FAILED, "failed")
        error = run.steps[special].error or {}
        assert (error["type"], error["message"]) == ("ValueError", "once")
        assert {states[name] for name in dependent.split()} <= {"skipped"}
        others = set(states) - {special, "else", *dependent.split()}
        assert {states[name] for name in others} <= {"completed"}
        before = {name: run.steps[name].ended_at for name in others}
        again = run.resume()
        assert again.state is RunState.COMPLETED
        assert {name: again.steps[name].ended_at for name in others} == before
        assert [str(attempt.state) for attempt in again.steps[special].attempts] == ["failed", "completed"]

    @pytest.mark.parametrize("behaviour", ["tries again", "keeps a checkpoint"])
    def test_tries_again(self, shape: str, behaviour: str) -> None:
        """A retry is an attempt of its own, and goes on from a checkpoint."""
        run = self.run(shape, behaviour)
        self.all_done(run)
        assert self.attempts(run, shape) == ["failed", "completed"]
        value = run.steps[SHAPES[shape][1]].outputs["output"].load()
        assert (value if isinstance(value, int) else value[-1]) >= (41 if behaviour == "keeps a checkpoint" else 1)

    def test_dies(self, shape: str) -> None:
        """A process that is killed costs the step an attempt, and nobody else anything."""
        if not self.own_process:
            pytest.skip("its steps run in the driver's own process")
        run = self.run(shape, "dies")
        self.all_done(run)
        assert self.attempts(run, shape) == ["failed", "completed"]

    def test_hangs(self, shape: str) -> None:
        """A timeout ends an attempt that would go on for ever."""
        name = SHAPES[shape][1].partition("[")[0]
        run = self.fails(shape, "hangs", steps={name: {"timeout": self.timeout}})
        error = run.steps[SHAPES[shape][1]].error or {}
        assert (run.state, error["type"]) == (RunState.FAILED, "StepTimeout")

    def test_is_cancelled(self, shape: str) -> None:
        """A run that somebody else cancels ends as such, and can go on."""
        thread = Thread(target=self._cancel, args=(SHAPES[shape][1],), daemon=True)
        thread.start()
        run = self.fails(shape, "waits")
        assert (run.state, self.states(run)[SHAPES[shape][1]]) == (RunState.CANCELLED, "cancelled")
        assert run.resume().state is RunState.COMPLETED

    def _cancel(self, name: str) -> None:
        client = Client()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.02)
            rows = client.runs()
            if rows and self.states(client.run(rows[0].id)).get(name) == "running":
                with Workspace() as workspace:
                    cancel(workspace, rows[0].id, "a test")
                return
