"""A run that ended or lost its owner goes on; one that is at work ends when somebody asks for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from core import Client, RunFailed, pipeline, step
from core.errors import ConflictError, NotFoundError, RunCancelled, UsageError
from core.model.event import EventKind
from core.model.states import RunState
from core.resume import cancel, resume
from core.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

calls: list[str] = []
broken: dict[str, bool] = {}


@step
def load(rows: int = 3) -> list[int]:
    calls.append("load")
    return list(range(rows))


@step(cache=False)
def train(data: list[int]) -> int:
    calls.append("train")
    if broken.get("train"):
        raise ValueError("no luck")
    return sum(data)


@step
def score(model: int) -> float:
    calls.append("score")
    return model / 2


@pipeline
def training(rows: int = 3) -> None:
    score(train(load(rows)))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    calls.clear()
    broken.clear()


def states(run: Any) -> dict[str, str]:
    return {name: str(one.state) for name, one in run.steps.items()}


def failed() -> Any:
    broken["train"] = True
    with pytest.raises(RunFailed) as raised:
        training(4)
    broken.clear()
    calls.clear()
    return raised.value.run


def test_a_failed_run_goes_on_from_what_is_finished() -> None:
    run = failed().resume()
    assert run.state == RunState.COMPLETED
    assert calls == ["train", "score"]
    assert states(run) == {"load": "completed", "train": "completed", "score": "completed"}
    assert [attempt.state for attempt in run.steps["train"].attempts] == ["failed", "completed"]
    assert run.steps["score"].outputs["output"].load() == 3.0
    assert [row.state for row in Client().runs()] == ["completed"]


def test_it_may_fail_and_go_on_again() -> None:
    run = failed()
    broken["train"] = True
    with pytest.raises(RunFailed):
        run.resume()
    broken.clear()
    assert len(run.resume().steps["train"].attempts) == 3


def test_a_completed_run_has_nothing_to_resume_but_its_steps_may_run_again() -> None:
    run = training(4)
    calls.clear()
    with pytest.raises(UsageError, match="nothing to resume"):
        run.resume()
    with Workspace() as workspace:
        again = resume(workspace, run.id, retry=["train"])
        with pytest.raises(NotFoundError, match="'train'"):
            resume(workspace, run.id, retry=["trian"])
    assert calls == ["train"]  # score takes the same model, and is reused
    assert states(again) == {"load": "completed", "train": "completed", "score": "reused"}


def test_another_pipeline_by_now_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed()

    @pipeline(name="training")
    def other(rows: int = 3) -> None:
        score(train(load(rows)))
        load.with_options(name="more")(1)

    other.__wrapped__.__qualname__ = "training"
    monkeypatch.setattr(sys.modules[__name__], "training", other)
    with pytest.raises(ConflictError, match="step 'more' was added"):
        run.resume()


def test_a_pipeline_that_cannot_be_found_is_asked_for() -> None:
    @pipeline
    def inner() -> None:
        train(load())

    broken["train"] = True
    with pytest.raises(RunFailed) as raised:
        inner()
    broken.clear()
    with pytest.raises(NotFoundError, match="FILE:PIPELINE"):
        raised.value.run.resume()
    with Workspace() as workspace:
        assert resume(workspace, raised.value.run.id, inner).state == RunState.COMPLETED


def test_what_the_store_has_no_more_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_INLINE_LIMIT", "0")  # what is inline never goes
    run = failed()
    output = run.steps["load"].outputs["output"]
    Client().workspace.stack.artifact_store.delete(output.ref.digest)
    again = run.resume()
    assert calls == ["load", "train", "score"]
    assert [str(attempt.state) for attempt in again.steps["load"].attempts] == ["completed", "completed"]
    assert again.steps["load"].outputs["output"].load() == [0, 1, 2, 3]


def test_a_run_at_work_is_cancelled_from_another_thread() -> None:
    begun = threading.Event()

    @step(cache=False)
    def wait() -> int:
        begun.set()
        time.sleep(30)
        return 1

    @pipeline
    def flow() -> None:
        score(wait())

    def ask() -> None:
        begun.wait(20)
        with Workspace() as workspace:
            assert cancel(workspace, Client().run().id, "enough") == "requested"

    thread = threading.Thread(target=ask)
    thread.start()
    with pytest.raises(RunCancelled, match=r"was cancelled by .*: enough") as raised:
        flow()
    thread.join(20)
    run = raised.value.run
    assert (run.state, states(run)) == (RunState.CANCELLED, {"wait": "cancelled", "score": "pending"})
    with Workspace() as workspace, pytest.raises(ConflictError, match="it is cancelled"):
        cancel(workspace, run.id)


SCRIPT = """
import os, sys, time
from core import step, pipeline, get_context

@step
def first() -> int:
    return 1

@step(cache=False)
def second(x: int) -> int:
    context = get_context()
    before = context.last_checkpoint(0)
    context.on_stop(lambda: context.checkpoint(before + 10))
    print("second from", before, flush=True)
    if not os.path.exists("go"):
        open("begun", "w").close()
        if {polite}:
            while not context.stopping:
                time.sleep(0.01)
            open("told", "w").close()
            while os.path.exists("stubborn"):
                time.sleep(0.01)
            return 0
        time.sleep(60)
    return before

@pipeline
def flow():
    second(first())

flow()
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts the script in a process of its own; gives it once its second step is at work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORE_HEARTBEAT", "0.2")

    def start(*, polite: bool = False) -> subprocess.Popen[str]:
        (tmp_path / "flow_script.py").write_text(SCRIPT.replace("{polite}", str(polite)))
        process = subprocess.Popen(
            [sys.executable, "flow_script.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_for("begun", process)
        time.sleep(0.05)  # what is shorter than 10 ms may be recorded 10 ms later
        return process

    return start


def wait_for(file: str, process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + 20
    while not os.path.exists(file):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends
        time.sleep(0.01)


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=30)
    return process.returncode


def gone_on() -> Any:
    open("go", "w").close()
    try:
        return Client().run().resume()
    finally:
        sys.modules.pop("flow_script", None)
        sys.path.remove(os.getcwd())


def test_a_killed_run_is_lost_and_goes_on_though_its_script_has_no_guard(started: Any) -> None:
    process = started()
    process.kill()
    assert finish(process) == -signal.SIGKILL
    time.sleep(0.7)
    run = Client().run()
    assert (run.state, states(run)) == (RunState.LOST, {"first": "completed", "second": "lost"})
    again = gone_on()
    assert [str(attempt.state) for attempt in again.steps["second"].attempts] == ["lost", "completed"]
    assert len(again.steps["first"].attempts) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_tells_the_step_which_keeps_what_it_has(started: Any, number: int, code: int) -> None:
    process = started()
    process.send_signal(number)
    assert finish(process) == code
    run = Client().run()
    assert (run.state, states(run)) == (RunState.CANCELLED, {"first": "completed", "second": "cancelled"})
    assert gone_on().steps["second"].outputs["output"].load() == 10


def test_a_step_that_looks_may_return_by_itself(started: Any) -> None:
    process = started(polite=True)
    process.terminate()
    assert finish(process) == -signal.SIGTERM
    run = Client().run()
    assert (run.state, states(run)) == (RunState.CANCELLED, {"first": "completed", "second": "completed"})


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_a_second_signal_means_now(started: Any, number: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_WORKERS", str(workers))
    monkeypatch.setenv("CORE_GRACE", "600")
    open("stubborn", "w").close()
    process = started(polite=True)
    process.send_signal(number)
    wait_for("told", process)
    process.send_signal(number)
    assert finish(process) == -number
    run = Client().run()
    assert (run.state, states(run)) == (RunState.CANCELLED, {"first": "completed", "second": "cancelled"})


def test_a_paused_owner_that_wakes_is_refused(started: Any) -> None:
    process = started()
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.0)
    assert Client().run().state == RunState.LOST
    assert gone_on().state == RunState.COMPLETED
    process.send_signal(signal.SIGCONT)
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode != 0
    run = Client().run()
    assert (run.state, run.steps["second"].state) == (RunState.COMPLETED, "completed")
    with Workspace() as workspace:
        kinds = [event.kind for event in workspace.tracking.events(run.id, "")]
    assert kinds.count(EventKind.RUN_ENDED) == 1, said


def test_a_lost_run_is_cancelled_by_whoever_asks(started: Any) -> None:
    process = started()
    process.kill()
    finish(process)
    time.sleep(0.7)
    with Workspace() as workspace:
        assert cancel(workspace, Client().run().id) == "recorded"
    assert Client().run().state == RunState.CANCELLED
    assert gone_on().state == RunState.COMPLETED
