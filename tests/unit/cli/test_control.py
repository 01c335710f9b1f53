"""Workers of a run, and the verbs that go on with runs: resume, cancel, retry, replay."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from core import Client, pipeline, schedule, step
from core.cli import control
from core.errors import DefinitionError
from core.model.event import Event, EventKind
from core.model.graph import Graph
from core.model.spec import RunOptions
from core.record import run_id
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Done

    Core = Callable[..., Done]


class Driven(Exception):
    """Stands for the run that would begin now."""


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many workers each run would have; none begins."""
    seen: list[int] = []

    def drive(*arguments: Any) -> None:
        seen.append(next(each.workers for each in arguments if hasattr(each, "workers")))
        raise Driven

    monkeypatch.setattr(schedule, "drive", drive)
    return seen


def test_the_call_goes_before_the_pipeline_and_that_before_the_settings(
    workers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    @step
    def work() -> int:
        return 1

    @pipeline(workers=3)
    def flow() -> None:
        work()

    monkeypatch.setenv("CORE_WORKERS", "2")
    for call in (
        lambda: flow.run({}, RunOptions(workers=4)),
        flow,
        flow.with_options(workers=None),
        lambda: flow.run({}, RunOptions(workers=0)),
    ):
        with pytest.raises(Driven):
            call()
    assert workers[:3] == [4, 3, 2]
    assert workers[3] >= 1


@pytest.mark.parametrize("wrong", [-1, 1001, True, "4", 2.0])
def test_a_pipeline_refuses_what_is_no_number_of_workers(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match=r"workers=.* is no whole number from 0 to 1000"):
        pipeline(workers=wrong)(lambda: None)


def test_workers_on_the_command_line_and_in_the_file(core: Core, workers: list[int], project: Path) -> None:
    (project / "run.yaml").write_text("workers: 5\n")
    for words in (["-w", "4"], ["--workers=7", "--config", "run.yaml"], ["--config", "run.yaml"]):
        core("run", "train.py", *words)
    assert workers == [4, 7, 5]
    done = core("run", "train.py", "-w", "many")
    assert done.code == 2
    assert "-w/--workers: it is 'many'; expected a whole number from 0 to 1000, or 'auto' for one a core" in done.err


PROGRAM = """
import os
from pathlib import Path
from core import log_metadata, pipeline, step


def factor():
    return 2


@step
def load(rows: int = 3) -> list[int]:
    return list(range(rows))


@step
def train(data: list[int], gamma: float = 0.5) -> float:
    print("training")
    log_metadata(gamma=gamma)
    if not Path("mended").exists():
        raise ValueError("no luck")
    return factor() * gamma * sum(data)


@step
def report(model: float) -> str:
    return f"model {model}"


@pipeline
def flow(rows: int = 3):
    report(train(load(rows)))
"""


@pytest.fixture
def failed(core: Core, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, where a run of `flow` in `steps.py` failed in `train`; a file `mended` mends it."""
    monkeypatch.setenv("CORE_DISPLAY", "none")
    (project / "steps.py").write_text(PROGRAM)
    assert core("run", "steps.py", "-p", "rows=4").code == 1
    return project


def mended(folder: Path, **changes: str) -> None:
    """As the next morning: the trouble is over, the code as `changes` say, and nothing is imported yet."""
    (folder / "mended").write_text("")
    text = PROGRAM
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "steps.py").write_text(text)
    sys.modules.pop("steps", None)


def states(core: Core) -> dict[str, list[str]]:
    data = json.loads(core("runs", "show", "latest", "-o", "json").out)
    return {step["name"]: [attempt["state"] for attempt in step["attempts"]] for step in data["steps"]}


def test_resume_goes_on_with_the_same_run(core: Core, failed: Path) -> None:
    mended(failed)
    done = core("runs", "resume", "latest", "-w", "1")
    assert (done.code, done.out.splitlines()[0]) == (0, "training")
    (row,) = json.loads(core("runs", "list", "-o", "json").out)
    assert (row["id"], row["state"]) == (done.out.split()[-1], "completed")
    assert states(core) == {"load": ["completed"], "train": ["failed", "completed"], "report": ["skipped", "completed"]}


def test_resume_names_what_changed_since(core: Core, failed: Path) -> None:
    mended(failed, **{"return 2": "return 3"})
    err = core("runs", "resume", "latest").err
    assert "began: code of factor changed (steps.py:7)" in err
    assert "what has finished keeps its result" in err


def test_resume_fails_again_with_exit_code_1_and_its_json(core: Core, failed: Path) -> None:
    done = core("runs", "resume", "latest", "-o", "json")
    assert (done.code, json.loads(done.out)["state"]) == (1, "failed")
    assert "ValueError: no luck" in done.err
    assert "training" in done.err


def test_a_pipeline_that_moved_is_asked_for(core: Core, failed: Path) -> None:
    mended(failed, flow="stream")
    done = core("runs", "resume", "latest")
    short = json.loads(core("runs", "list", "-o", "json").out)[0]["id"][-8:]
    assert done.code == 3
    assert f"name it: `core runs resume {short} FILE:PIPELINE`" in done.err
    done = core("runs", "retry", "latest", "train")
    assert f"name it: `core runs retry {short} train --pipeline FILE:PIPELINE`" in done.err
    mended(failed)
    (failed / "elsewhere.py").write_text("from steps import flow\n")
    (failed / "more.py").write_text("from core import pipeline\n")
    assert core("runs", "resume", "latest", "more.py:x").code == 3
    assert core("runs", "resume", "latest", "elsewhere.py:flow").code == 0


def test_what_cannot_be_resumed(core: Core, failed: Path) -> None:
    mended(failed)
    assert core("runs", "resume", "latest").code == 0
    done = core("runs", "resume", "latest")
    assert done.code == 2
    assert "nothing to resume" in done.err
    assert core("runs", "resume", "nowhere").code == 3
    assert core("runs", "replay", "latest", "train").code == 0
    done = core("runs", "resume", "latest")
    assert done.code == 2
    assert "is a replay of one step" in done.err


def test_retry_runs_a_step_and_what_depends_on_it_once_more(core: Core, failed: Path) -> None:
    mended(failed)
    core("runs", "resume", "latest")
    assert core("runs", "retry", "latest", "train", "-o", "json").code == 0
    assert states(core)["train"] == ["failed", "completed", "completed"]
    assert states(core)["load"] == ["completed"]
    done = core("runs", "retry", "latest", "trian")
    assert done.code == 3
    assert "did you mean 'train'" in done.err
    assert core("runs", "retry", "latest", "load", "--pipeline", "steps.py").code == 0
    assert len(states(core)["load"]) == 2


def test_what_is_at_work_is_left_to_its_owner(core: Core, failed: Path) -> None:
    with Workspace() as workspace:
        run = workspace.tracking.runs(limit=1)[0].id
        workspace.tracking.append([Event(run, "", 0, "another", 0, EventKind.RUN_RESUMED, time.time(), 2, {})])
        workspace.tracking.acquire(run, "another", 60)
        for verb in (["resume", run], ["retry", run, "train"]):
            done = core("runs", *verb)
            assert done.code == 5, done
            assert "is at work" in done.err


def test_cancel_of_what_has_ended(core: Core, failed: Path) -> None:
    done = core("runs", "cancel", "latest")
    assert done.code == 5
    assert "has ended: it is failed" in done.err


def begun(monkeypatch: pytest.MonkeyPatch) -> str:
    """A run whose owner is gone: it has begun, and nobody holds its lease."""
    monkeypatch.setenv("CORE_DISPLAY", "none")
    graph = Graph("flow", ())
    start = {"pipeline": "flow", "graph": graph.digest, "stack": "default", "parameters": {}}
    with Workspace() as workspace:
        run = run_id()
        event = Event(run, "", 0, "gone", 0, EventKind.RUN_STARTED, time.time(), 1, start)
        workspace.tracking.append([event], documents={graph.digest: graph.json})
    return run


def test_cancel_of_what_is_lost_is_recorded(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(monkeypatch)
    done = core("runs", "cancel", run, "--reason", "wrong data")
    assert (done.code, done.out) == (0, "cancelled\n")
    assert ": wrong data" in Client().run(run).error


def test_cancel_waits_until_the_owner_has_ended_it(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(monkeypatch)
    with Workspace() as workspace:
        lease = workspace.tracking.acquire(run, "owner", 60)
        done = core("runs", "cancel", run, "--wait", "0")
        assert (done.code, done.out) == (0, "running\n")
        assert "was asked to end" in done.err
        monkeypatch.setattr(control.time, "sleep", lambda _: None)
        done = core("runs", "cancel", run, "--wait", "1")
        assert done.code == 5
        assert "still at work 1 s after it was asked to end" in done.err
        monkeypatch.setattr(control.time, "sleep", lambda _: workspace.tracking.release(lease))
        done = core("runs", "cancel", run, "--wait", "50", "-o", "json")
    assert done.code == 0, done
    assert json.loads(done.out)["state"] == "cancelled"


@pytest.mark.parametrize("background", [False, True])
def test_cancel_of_a_process_at_work(core: Core, project: Path, background: bool) -> None:  # noqa: FBT001
    slow = PROGRAM.replace("    print", "    import time\n    Path('begun').touch()\n    time.sleep(60)\n    print")
    (project / "slow.py").write_text(slow)
    command = [sys.executable, "-m", "core", "run", "slow.py"]
    if background:  # a shell starts what stands before `&` like this
        command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (project / "begun").exists():
        assert process.poll() is None
        time.sleep(0.01)
    done = core("runs", "cancel", "latest")
    _, err = process.communicate(timeout=20)
    assert (done.code, done.out, process.returncode) == (0, "cancelled\n", 1)
    assert "was cancelled by" in err
    assert states(core)["train"] == ["cancelled"]


def test_replay_compares_and_records(core: Core, failed: Path) -> None:
    done = core("runs", "replay", "latest", "train", "--no-record", "-o", "json")
    assert done.code == 1
    assert json.loads(done.out)["error"] == "ValueError: no luck"
    assert "training" in done.err
    mended(failed)
    core("runs", "resume", "latest")
    done = core("runs", "replay", "latest", "train")
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[-2:] == [
        ["OUTPUT", "TYPE", "SIZE", "THEN", "VALUE"],
        ["output", "float", "3", "B", "the", "same", "6.0"],
    ]
    assert "replaying train, attempt 2 of run" in done.err
    assert "logged: gamma=0.5" in done.err
    rows = json.loads(core("runs", "list", "-o", "json").out)
    assert [row["pipeline"] for row in rows] == ["replay of flow", "flow"]


def test_replay_with_other_parameters_and_other_code(core: Core, failed: Path) -> None:
    mended(failed)
    core("runs", "resume", "latest")
    mended(failed, **{"return 2": "return 3"})
    done = core("runs", "replay", "latest", "train", "-p", "gamma=1", "--no-record")
    assert done.out.splitlines()[-1].split() == ["output", "float", "4", "B", "another", "18.0"]
    assert "not as it was then: code of factor changed (steps.py:7)" in done.err
    assert "parameter gamma 0.5 -> 1.0" in done.err
    assert "nothing of this was recorded" in done.err
    data = json.loads(core("runs", "replay", "latest", "train", "--no-record", "--attempt=1", "-o", "json").out)
    assert (data["run"], data["outputs"]["output"]["same"], data["of"]["attempt"]) == (None, None, 1)
    for words, code in ((["-p", "gama=1"], 2), (["-p", "gamma"], 2), (["--attempt", "9"], 3)):
        assert core("runs", "replay", "latest", "train", *words).code == code


def test_the_debugger_stands_where_the_step_raised(core: Core, failed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = core("runs", "replay", "latest", "train", "--pdb")
    assert done.code == 2
    assert "--pdb needs a terminal" in done.err
    assert core("runs", "replay", "latest", "train", "--pdb", "-o", "json").code == 2
    seen = []
    monkeypatch.setattr("core.cli.replay._refuse_without_terminal", lambda _: None)
    monkeypatch.setattr("pdb.post_mortem", lambda trace: seen.append(trace.tb_frame.f_code.co_name))
    for more in ([], ["--no-record"]):
        assert core("runs", "replay", "latest", "train", "--pdb", *more).code == 1
    assert seen == ["train", "train"]
