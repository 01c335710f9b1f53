"""A run from the call to its view: states, reasons, failures, retries, hooks, logs, interruption."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from core import Client, Retry, RunFailed, get_context, log_metadata, pipeline, step
from core.errors import UsageError
from core.model.spec import RunOptions
from core.model.states import RunState, StepState
from core.workspace import Workspace

calls: deque[str] = deque()  # no constant to the cache key, as a list would be


@dataclass
class Model:
    weights: list[float]
    name: str


@step
def load(rows: int = 3) -> list[int]:
    calls.append("load")
    return list(range(rows))


@step
def train(data: list[int], gamma: float = 0.5) -> Annotated[Model, "model"]:
    calls.append("train")
    return Model([x * gamma for x in data], "m")


@step
def score(model: Model) -> float:
    calls.append("score")
    return sum(model.weights)


@step
def broken(data: list[int]) -> int:
    raise ValueError("no luck with %s" % data)  # noqa: UP031


@pipeline
def training(gamma: float = 0.5, rows: int = 3) -> float:
    return score(train(load(rows), gamma))


@pytest.fixture(autouse=True)
def _fresh() -> None:
    calls.clear()


def test_first_run_and_reuse() -> None:
    run = training()
    assert run.state is RunState.COMPLETED
    assert [s.state for s in run.steps.values()] == [StepState.COMPLETED] * 3
    assert run.steps["load"].reason == "never ran"
    assert run.steps["train"].outputs["model"].load() == Model([0.0, 0.5, 1.0], "m")
    again = training()
    assert [s.state for s in again.steps.values()] == [StepState.REUSED] * 3
    assert "same code, parameters and inputs" in again.steps["score"].reason
    assert again.steps["score"].outputs["output"].load() == 1.5
    assert list(calls) == ["load", "train", "score"]


def test_a_changed_parameter_reruns_what_follows_only() -> None:
    training()
    run = training(gamma=0.25)
    assert [s.state for s in run.steps.values()] == [StepState.REUSED, StepState.COMPLETED, StepState.COMPLETED]
    assert run.steps["train"].reason == "parameter gamma 0.5 -> 0.25"
    assert run.steps["score"].reason == "input model of step train changed"


def test_equal_outputs_stop_the_reruns() -> None:
    training(rows=0)
    calls.clear()
    run = training(rows=0, gamma=0.75)
    assert list(calls) == ["train"]  # an empty list gives the same model whatever gamma is
    assert run.steps["score"].state is StepState.REUSED


def test_a_failure_skips_its_descendants_only() -> None:
    with pytest.raises(RunFailed, match="'broken'") as caught:
        pipeline(_mixed)()
    run = caught.value.run
    assert {name: str(s.state) for name, s in run.steps.items()} == {
        "load": "completed",
        "broken": "failed",
        "total": "skipped",
        "train": "completed",
    }
    assert run.steps["total"].reason == "broken failed"
    error = run.steps["broken"].error
    assert error is not None
    assert (error["type"], error["message"]) == ("ValueError", "no luck with [0, 1, 2]")
    assert error["traceback"].splitlines()[1].count("test_run.py") == 1  # it starts at the user's own code
    assert isinstance(caught.value.__cause__, ValueError)
    assert run.state is RunState.FAILED


@step
def total(number: int) -> int:
    return number


def _mixed() -> None:
    data = load()
    total(broken(data))
    train(data)


def test_fail_fast_stops_the_others() -> None:
    with pytest.raises(RunFailed) as caught:
        pipeline(_mixed).run({}, RunOptions(fail_fast=True))
    assert caught.value.run.steps["train"].state is StepState.SKIPPED


def test_retry_makes_new_attempts() -> None:
    tries: list[int] = []

    @step(retry=Retry(attempts=3, delay=0))
    def flaky() -> int:
        tries.append(get_context().attempt)
        if len(tries) < 3:
            raise OSError("away")
        return 7

    run = pipeline(lambda: flaky())()
    assert tries == [1, 2, 3]
    assert [a.state for a in run.steps["flaky"].attempts] == [StepState.FAILED, StepState.FAILED, StepState.COMPLETED]
    assert run.steps["flaky"].outputs["output"].load() == 7


def test_context_metadata_and_temporary_folder() -> None:
    seen: list[Any] = []

    @step
    def look() -> None:
        context = get_context()
        folder = context.temporary_folder
        (folder / "x").write_text("1")
        seen.extend([folder, context.run_id, context.step, context.pipeline])
        log_metadata(accuracy=0.5, names=["a"])

    run = pipeline(name="looking")(lambda: look())()
    assert not seen[0].exists()
    assert seen[1:] == [run.id, "look", "looking"]
    assert run.steps["look"].metadata == {"accuracy": 0.5, "names": ["a"]}
    with pytest.raises(UsageError, match="outside a running step"):
        get_context()


def test_async_steps_run() -> None:
    @step
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    run = pipeline(lambda: fetch(fetch(1)))()
    assert run.steps["fetch_2"].outputs["output"].load() == 3


def test_environment_is_set_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_TEST_A", "before")

    @step(environment={"CORE_TEST_A": "within", "CORE_TEST_B": "new"})
    def look() -> str:
        return os.environ["CORE_TEST_A"] + os.environ["CORE_TEST_B"]

    run = pipeline(lambda: look())()
    assert run.steps["look"].outputs["output"].load() == "withinnew"
    assert os.environ["CORE_TEST_A"] == "before"
    assert "CORE_TEST_B" not in os.environ


def test_hooks_are_called_and_change_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []

    def bad_hook(context: Any) -> None:
        heard.append(context.step)
        raise RuntimeError("hook broke")

    @step(on_success=bad_hook)
    def fine() -> int:
        return 1

    @step(on_failure=lambda context, error: heard.append(f"{context.step} {error}"))
    def wrong() -> int:
        raise ValueError("x")

    run = pipeline(lambda: fine())()
    assert run.state is RunState.COMPLETED
    assert run.steps["fine"].last is not None
    assert "hook broke" in str(run.steps["fine"].last.hooks)
    with pytest.raises(RunFailed):
        pipeline(lambda: wrong())()
    assert heard == ["fine", "wrong x"]
    capfd.readouterr()


def test_what_a_hook_prints_stands_in_its_steps_log(capfd: pytest.CaptureFixture[str]) -> None:
    @step(on_success=lambda context: print("hook of", context.step))
    def first() -> int:
        print("first itself")
        return 1

    @step
    def second(number: int) -> int:
        print("second itself")
        return number

    run = pipeline(lambda: second(first()))()
    assert run.steps["first"].log() == "first itself\nhook of first\n"
    assert run.steps["second"].log() == "second itself\n"
    capfd.readouterr()


def test_what_a_step_prints_goes_to_its_log_and_on(capfd: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger("core-test").addHandler(handler)

    @step
    def talk() -> None:
        print("to stdout")
        print("to stderr", file=sys.stderr)
        logging.getLogger("core-test").warning("to the logger")
        sys.stdout.buffer.write(b"\xff\x00\n")
        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()

    run = pipeline(lambda: talk())()
    logging.getLogger("core-test").removeHandler(handler)
    log = run.steps["talk"].log()
    for word in ("to stdout", "to stderr", "to the logger", "from a thread"):
        assert word in log
    assert "to stdout" in capfd.readouterr().out


def test_an_interrupted_run_is_cancelled() -> None:
    @step
    def wait() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline(lambda: wait())()
    run = Client().run()
    assert run.state is RunState.CANCELLED
    assert run.steps["wait"].state is StepState.CANCELLED


def test_sys_exit_in_a_step_is_a_failure() -> None:
    @step
    def leave() -> int:
        sys.exit(0)

    with pytest.raises(RunFailed):
        pipeline(lambda: leave())()


def test_wrong_output_is_refused() -> None:
    @step
    def wrong() -> int:
        return "text"  # type: ignore[return-value]

    @step
    def short() -> tuple[Annotated[int, "a"], Annotated[int, "b"]]:
        return (1,)  # type: ignore[return-value]

    for flow in (lambda: wrong(), lambda: short()):
        with pytest.raises(RunFailed) as caught:
            pipeline(flow)()
        assert "annotation says" in str(caught.value.__cause__)


def test_a_step_that_takes_too_long_is_ended_though_it_ignores_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_GRACE", "0.2")

    @step(cache=False, timeout=0.2)
    def stubborn() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        return 1

    with pytest.raises(RunFailed) as raised:
        pipeline(lambda: stubborn())()
    assert "timed out after 0.2 s" in raised.value.run.steps["stubborn"].error["message"]


def test_no_cache_for_all_or_for_one_step() -> None:
    training()
    calls.clear()
    training.run({}, RunOptions(no_cache=frozenset({"score"})))
    assert list(calls) == ["score"]
    training.run({}, RunOptions(no_cache=True))
    assert list(calls) == ["score", "load", "train", "score"]


def test_plan_runs_nothing() -> None:
    training()
    calls.clear()
    plan = training.plan({"gamma": 0.1})
    actions = {name: str(d.action) for name, d in plan.decisions.items()}
    assert actions == {"load": "reuse", "train": "run", "score": "maybe"}
    assert not calls
    assert len(Client().runs()) == 1


def test_missing_bytes_run_the_step_again(tmp_path: Any) -> None:
    @step
    def big() -> bytes:
        calls.append("big")
        return b"x" * 1_000_000

    flow = pipeline(lambda: big())
    first = flow()
    for folder, _, names in os.walk(os.environ["CORE_HOME"] + "/artifacts"):
        for name in names:
            os.unlink(os.path.join(folder, name))
    second = flow()
    assert list(calls) == ["big", "big"]
    assert "is missing from" in second.steps["big"].reason
    assert first.steps["big"].outputs["output"].load() == b"x" * 1_000_000


def test_client_finds_runs_by_either_end() -> None:
    run = training()
    client = Client()
    assert client.run(run.id[-8:]).id == run.id
    assert client.run().id == run.id
    assert next(iter(client.artifacts())).name == "output"
    client.delete_run(run.id)
    assert client.runs() == []


def test_durability_power_reaches_database_and_store(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    monkeypatch.setenv("CORE_DURABILITY", "power")
    workspace = Workspace()
    with workspace:
        assert workspace.tracking.database.read("PRAGMA synchronous") == [(2,)]  # type: ignore[attr-defined]
    pipeline(lambda: load(100_000))()
    assert synced


def test_one_and_its_text_are_not_the_same_input() -> None:
    @step
    def give(kind: str) -> Any:
        return "1" if kind == "str" else 1

    @step
    def kind(value: Any) -> str:
        return type(value).__name__

    @pipeline
    def flow(wanted: str) -> str:
        return kind(give(wanted))

    assert flow("int").steps["kind"].outputs["output"].load() == "int"
    assert flow("str").steps["kind"].outputs["output"].load() == "str"


def test_a_home_that_moved_keeps_its_results(core_home: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @step
    def big() -> bytes:
        return b"x" * 100_000

    flow = pipeline(lambda: big())
    flow()
    core_home.rename(tmp_path / "moved")
    monkeypatch.setenv("CORE_HOME", str(tmp_path / "moved"))
    run = flow()
    assert run.steps["big"].state is StepState.REUSED
    assert len(run.steps["big"].outputs["output"].load()) == 100_000


def test_lineage_goes_both_ways() -> None:
    run = training()
    client = Client()
    found = client.lineage(run.steps["train"].outputs["model"])
    data = run.steps["load"].outputs["output"].ref.digest
    assert found.made_from == (("load", "output", data),)
    assert found.used_by == ((run.id, "score", 1),)


def test_a_run_does_not_reuse_its_own_results() -> None:
    @step
    def slow(number: int) -> int:
        calls.append("slow")
        time.sleep(0.05)  # long enough for the first one's end to be recorded
        return number

    @pipeline
    def flow() -> None:
        number = total(1)
        slow(number)
        slow(number)

    assert [str(each.state) for each in flow().steps.values()] == ["completed"] * 3
    assert [str(each.state) for each in flow().steps.values()] == ["reused"] * 3
    assert list(calls) == ["slow", "slow"]
