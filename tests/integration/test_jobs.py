"""Runs whose steps are jobs of an orchestrator: one launcher of the same scheduler, the outcome is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from core import RunFailed, pipeline
from core.builtin.journal.store import JournalTrackingStore
from core.builtin.journal.writer import JournalWriter
from core.builtin.stores.local import LocalArtifactStore
from core.builtin.stores.settings import LocalSettings
from core.bundle import START
from core.errors import (
    ConfigurationError,
    InfrastructureError,
    JobLost,
    LeaseLostError,
    StepCrashed,
    StepTimeout,
    WorkerDied,
    explain,
)
from core.model.event import Event, EventKind
from core.resume import resume
from core.schedule import jobs
from core.schedule.work import Yard
from core.stack import Stack
from core.testing.orchestrator import ProcessOrchestrator
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.append(os.path.dirname(__file__))  # a job imports the steps by their module's name
flows: Any = import_module("jobs_flow")


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Counter[str]]:
    """How often each step was called; steps run as jobs of processes from here on."""
    path = tmp_path / "trace"
    monkeypatch.setenv("TRACE", str(path))
    monkeypatch.setenv("CORE_DISPLAY", "none")
    return lambda: Counter(path.read_text().split()) if path.exists() else Counter()


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch, core_home: Path) -> Iterator[ProcessOrchestrator]:
    double = ProcessOrchestrator()
    stack = Stack("process", double, LocalArtifactStore(str(core_home / "artifacts")))
    monkeypatch.setattr(Workspace, "stack", stack)
    yield double
    assert not [job for job in double._jobs.values() if job.poll() is None]
    double.close()


def kinds(run: Any) -> Counter[str]:
    with Workspace() as workspace:
        return Counter(event.kind for event in workspace.tracking.events(run.id))


def test_steps_are_jobs(processes: ProcessOrchestrator, trace: Callable[[], Counter[str]]) -> None:
    run = flows.flow(size=4)
    assert run.state == "completed"
    assert run.steps["work"].outputs["output"].load() == 6
    assert run.steps["make"].log() == "making 4\n"
    assert run.steps["work"].log() == "working sum\n"
    assert run.steps["make"].metadata == {"size": 4}
    assert len(processes._jobs) == 2
    found = kinds(run)
    assert found[EventKind.ATTEMPT_RETURNED] == found[EventKind.ATTEMPT_COMPLETED] == 2
    assert found[EventKind.JOB_LAUNCHED] == 4
    again = flows.flow(size=4)
    assert [str(step.state) for step in again.steps.values()] == ["reused", "reused"]
    assert trace() == {"make": 1, "sum": 1}


@pytest.mark.usefixtures("processes")
def test_retry_and_checkpoint(trace: Callable[[], Counter[str]]) -> None:
    run = flows.again()
    assert run.steps["twice"].outputs["output"].load() == 4
    assert [str(attempt.state) for attempt in run.steps["twice"].attempts] == ["failed", "completed"]
    assert trace()["twice"] == 2


@pytest.mark.parametrize(
    ("how", "error", "tries", "said"),
    [
        ("raise", flows.NoLuck, 1, "no luck today"),
        ("exit", StepCrashed, 1, "exit code 9"),
        ("crash", StepCrashed, 1, "signal 11"),
        ("killed", WorkerDied, 3, "signal 9"),
    ],
)
@pytest.mark.usefixtures("processes")
def test_failures_are_told_apart(
    trace: Callable[[], Counter[str]], how: str, error: type[Exception], tries: int, said: str
) -> None:
    quick = flows.work.with_options(retry=flows.Retry(attempts=1, delay=0.01))
    with pytest.raises(RunFailed) as caught:
        _once(quick, how)
    assert isinstance(caught.value.__cause__, error)
    assert said in str(caught.value.__cause__)
    assert trace()[how] == tries
    told = caught.value.run.steps["work"].error or {}
    assert (how == "raise") == ("raise NoLuck" in told.get("traceback", ""))


def _once(step: Any, how: str) -> Any:
    @pipeline
    def once() -> None:
        step(flows.make(), how)

    return once()


@pytest.mark.usefixtures("processes", "trace")
def test_timeout_ends_the_job() -> None:
    began = time.monotonic()
    with pytest.raises(RunFailed) as caught:
        _once(flows.work.with_options(timeout=0.5), "sleep")
    assert isinstance(caught.value.__cause__, StepTimeout)
    assert time.monotonic() - began < 15


@pytest.mark.usefixtures("trace")
def test_side_by_side(processes: ProcessOrchestrator) -> None:
    run = flows.wide()
    assert run.state == "completed"
    assert len(processes._jobs) == 4


@pytest.mark.parametrize("where", ["job.wanted", "job.launched", "job.ended", "job.launched, shared"])
def test_another_owner_goes_on_with_jobs_at_work(
    processes: ProcessOrchestrator, trace: Callable[[], Counter[str]], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The owner falls silent at `where`: its job is neither left nor done twice, and is recorded as one attempt.

    In a shared store the job writes to the run's own journal meanwhile: that makes this home no stranger to it.
    """
    where, _, shared = where.partition(", ")
    if shared:
        settings = LocalSettings(path=Workspace.stack.artifact_store.root, shared=True)
        monkeypatch.setattr(Workspace, "stack", Stack("process", processes, LocalArtifactStore(settings)))

    def gone(name: str) -> bool:
        if name == where:
            raise LeaseLostError("another owner has it")
        return False

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "failpoint", gone)
        with pytest.raises(LeaseLostError):
            flows.flow(size=4)
    assert trace()["sum"] == 0
    with Workspace() as workspace:
        run = workspace.tracking.runs()[0].id
    done = resume(Workspace(), run)
    assert done.state == "completed"
    assert trace() == {"make": 1, "sum": 1}
    assert len(processes._jobs) == 2
    made = done.steps["make"]
    assert [str(attempt.state) for attempt in made.attempts] == ["completed"]
    assert made.metadata == {"size": 4}
    assert made.attempts[0].started_at
    assert kinds(done)[EventKind.JOB_TAKEN_OVER] == 1


@pytest.mark.usefixtures("processes")
def test_what_a_job_reported_holds_though_it_is_killed(
    trace: Callable[[], Counter[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CORE_FAILPOINTS", f"job.reported=kill:{tmp_path}/fired")  # of jobs: this process read it before
    run = flows.flow(size=4)
    assert (tmp_path / "fired").read_text() == "job.reported\n" * 2
    assert run.state == "completed"
    assert [len(step.attempts) for step in run.steps.values()] == [1, 1]
    assert trace() == {"make": 1, "sum": 1}


@pytest.mark.usefixtures("trace")
def test_a_job_whose_time_is_over_ends_itself(processes: ProcessOrchestrator, monkeypatch: pytest.MonkeyPatch) -> None:
    """No driver need tell it; it is told from a job that was taken away, and is not tried again."""
    monkeypatch.setattr(jobs, "LIFE", 1.5)
    with pytest.raises(RunFailed) as caught:
        _once(flows.work, "sleep")
    assert isinstance(caught.value.__cause__, StepTimeout)
    assert "its job's deadline was over" in str(caught.value.__cause__)
    assert len(processes._jobs) <= 2


def test_what_somebody_else_reports_of_a_job_is_not_believed(
    processes: ProcessOrchestrator, trace: Callable[[], Counter[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can write to the store says first that the step returned something; what counts is what the job says."""
    launch = processes.launch

    def forging(job: Any) -> Any:
        node, number = job.labels["step"], int(job.labels["attempt"])
        data = {"state": "failed", "outputs": {}, "error": {"message": "forged"}, "kinds": [], "fault": "user"}
        event = Event(
            job.labels["run"], node, number, "0", 0, EventKind.ATTEMPT_RETURNED, time.time(), 1, {**data, "seconds": 1}
        )
        JournalWriter(Workspace().stack.artifact_store).append([event])
        return launch(job)

    monkeypatch.setattr(processes, "launch", forging)
    assert flows.flow(size=4).state == "completed"
    assert trace() == {"make": 1, "sum": 1}


def test_a_step_that_is_not_in_its_job_is_told(
    processes: ProcessOrchestrator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its module was left out of the image, or is another one there."""
    launch, place = processes.launch, tmp_path / "left" / "left_out.py"
    place.parent.mkdir()
    place.write_text("from core import pipeline, step\n@step\ndef f() -> int:\n    return 1\n")
    monkeypatch.setattr(sys, "path", [str(place.parent), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("CORE_DISPLAY", "none")
    left_out: Any = import_module("left_out")
    for text, why in ((None, "No module named 'left_out'"), ("", "has no attribute 'f'")):

        def without(job: Any, text: str | None = text) -> Any:
            place.unlink(missing_ok=True)
            if text is not None:
                place.write_text(text)
            return launch(job)

        monkeypatch.setattr(processes, "launch", without)
        with pytest.raises(RunFailed) as caught:
            pipeline(lambda: left_out.f())()
        error = caught.value.run.steps["f"].error or {}
        assert error["message"].startswith("step 'f' is not at 'left_out:f' in this job: ")
        assert why in error["message"]
        assert isinstance(caught.value.__cause__, ConfigurationError)
        assert "[configuration]\n  hint: see which files the image holds" in explain(caught.value)
        assert len(caught.value.run.steps["f"].attempts) == 1
    del sys.modules["left_out"]


@pytest.fixture
def bundles(
    trace: Callable[[], Counter[str]], monkeypatch: pytest.MonkeyPatch, core_home: Path
) -> Iterator[dict[str, bytes]]:
    """What jobs are told, by what their steps do; nobody has begun them."""
    told: dict[str, bytes] = {}

    class Keeper(ProcessOrchestrator):
        """Keeps it, and launches none."""

        def launch(self, job: Any) -> Any:
            told[job.labels["step"]] = job.bundle
            raise ConfigurationError("kept for later")

    @pipeline
    def several() -> None:
        for how in ("sum", "raise", "sleep", "spoil"):
            flows.work.with_options(name=how)([1, 2], how)

    keeper, store = Keeper(), LocalArtifactStore(LocalSettings(path=str(core_home / "artifacts"), shared=True))
    monkeypatch.setattr(Workspace, "stack", Stack("keeper", keeper, store))
    monkeypatch.setenv("SPOIL", str(core_home / "artifacts"))
    with pytest.raises(RunFailed):
        several()
    assert not trace()
    yield told
    keeper.close()


def job(code: str = START) -> subprocess.Popen[bytes]:
    """A process that is to be told what to do."""
    words = [sys.executable, "-P", "-c", code]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def ended(bundle: bytes, code: str = START) -> tuple[int, str]:
    """Exit code of a job, and what it said."""
    process = job(code)
    said = process.communicate(bundle, timeout=60)[0].decode()
    assert "Traceback" not in said
    return process.returncode, said


def said_by(bundle: bytes) -> dict[str, Any] | None:
    """What stands of the attempt beside the artifacts."""
    fields, mailbox = json.loads(bundle), JournalTrackingStore(Workspace.stack.artifact_store)
    events = mailbox.events(fields["run"], fields["node"]["id"])
    mailbox.close()
    return next((dict(event.data) for event in events if event.kind == EventKind.ATTEMPT_RETURNED), None)


def test_the_code_with_which_a_job_ends(bundles: dict[str, bytes], trace: Callable[[], Counter[str]]) -> None:
    fields = json.loads(bundles["sum"])
    shipping = fields["shipping"]
    nowhere = {**fields, "shipping": {**shipping, "store": {**shipping["store"], "flavor": "nowhere"}}}
    for bundle, code, said in (
        (json.dumps({**fields, "version": 99}).encode(), 6, "reads bundles of version"),
        (json.dumps(nowhere).encode(), 6, "'nowhere'"),
        (bundles["sum"][:-9], 75, "was told only a part"),
        (b"", 75, "was told only a part"),
    ):
        told = ended(bundle)
        assert (told[0], said in told[1]) == (code, True), told
    assert (dict(trace()), said_by(bundles["sum"])) == ({}, None)
    assert ended(bundles["sum"])[0] == 0
    assert ended(bundles["raise"])[0] == 1
    found = {how: (said_by(bundles[how]) or {})["state"] for how in ("sum", "raise")}
    assert found == {"sum": "completed", "raise": "failed"}
    code, said = ended(bundles["spoil"], f"import core.entrypoint\ncore.entrypoint.PATIENCE = 0.2\n{START}")
    assert (code, trace()) == (7, {"sum": 1, "raise": 1, "spoil": 1})


def test_a_job_that_is_told_to_end_says_so(bundles: dict[str, bytes]) -> None:
    """At work: that is recorded. Before it was told what to do: there is nothing to record."""
    process = job()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(bundles["sleep"])
    process.stdin.close()
    assert process.stdout.readline() == b"working sleep\n"
    process.terminate()
    assert process.wait(60) == 143
    assert (said_by(bundles["sleep"]) or {})["state"] == "preempted"
    process.stdout.close()
    reading = (
        "import core.entrypoint as e; read = e.read; e.read = lambda: (print('up', flush=True), read())[1]; e.main()"
    )
    process = job(reading)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.terminate()
    assert process.wait(60) == 143
    process.stdin.close()
    process.stdout.close()


def away(
    processes: ProcessOrchestrator, monkeypatch: pytest.MonkeyPatch, begin: Callable[[], bool], back: Callable[[], bool]
) -> list[float]:
    """Let the orchestrator be away from `begin` until `back`, longer than a run waits for it; gives when it was asked."""
    asked, state = list[float](), processes.state

    def states(handles: Any) -> Any:
        if (asked or begin()) and not back():
            asked.append(time.monotonic())
            raise InfrastructureError("the orchestrator is away")
        return state(handles)

    monkeypatch.setattr(processes, "state", states)
    monkeypatch.setattr("core.schedule.work.Yard", partial(Yard, patience=0.3))
    return asked


def test_an_orchestrator_that_is_away_ends_no_step_that_lives(
    processes: ProcessOrchestrator, trace: Callable[[], Counter[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    monkeypatch.setenv("GO", str(go))

    def back() -> bool:
        if asked and asked[-1] - asked[0] > 0.6:
            go.touch()
        return go.exists()

    asked = away(processes, monkeypatch, lambda: trace()["wait"] > 0, back)
    run = _once(flows.work, "wait")
    assert trace()["wait"] == 1
    assert [str(attempt.state) for attempt in run.steps["work"].attempts] == ["completed"]


def test_a_step_of_an_orchestrator_that_is_away_is_lost_once_it_gives_no_sign_of_life(
    processes: ProcessOrchestrator, trace: Callable[[], Counter[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORE_HEARTBEAT", "0.3")

    def begin() -> bool:
        if trace()["sleep"]:
            os.killpg(next(job.pid for name, job in processes._jobs.items() if "/work/" in name), 9)
        return trace()["sleep"] > 0

    asked = away(processes, monkeypatch, begin, lambda: bool(asked) and time.monotonic() - asked[0] > 20)  # too late
    with pytest.raises(RunFailed) as caught:
        _once(flows.work.with_options(retry=flows.Retry(infrastructure=0)), "sleep")
    assert isinstance(caught.value.__cause__, JobLost)
    assert "orchestrator 'default' can't be asked for it: the orchestrator is away" in str(caught.value.__cause__)
    assert (len(asked) > 1, trace()["sleep"]) == (True, 1)


def test_one_step_runs_elsewhere(
    trace: Callable[[], Counter[str]], monkeypatch: pytest.MonkeyPatch, python: Callable[..., Any]
) -> None:
    """`runs_on` names an orchestrator of the catalog; the other steps stay in the driver's process."""
    monkeypatch.setenv("CORE_PLUGINS", "core.testing.orchestrator")
    python("-m", "core", "orchestrator", "register", "elsewhere", "--flavor", "process")
    step = flows.work.with_options(runs_on="elsewhere")
    run = _once(step, "sum")
    assert run.state == "completed"
    assert kinds(run)[EventKind.JOB_LAUNCHED] == 2
    assert trace() == {"make": 1, "sum": 1}
    with pytest.raises(ConfigurationError, match="step 'work' runs on orchestrator 'nowhere', which does not exist"):
        _once(flows.work.with_options(runs_on="nowhere"), "sum")


def when(true: Callable[[], object], do: Callable[[], object]) -> Thread:
    """A thread that waits until something is so, and then does something."""

    def wait() -> None:
        ends = time.monotonic() + 60
        while not true():
            assert time.monotonic() < ends
            time.sleep(0.02)
        do()

    thread = Thread(target=wait)
    thread.start()
    return thread


def test_a_job_that_is_ended_from_outside_goes_on_from_its_checkpoint(
    processes: ProcessOrchestrator, trace: Callable[[], Counter[str]]
) -> None:
    """As by a machine that is taken away: what it printed is kept, and it is the infrastructure's fault."""
    killer = when(lambda: trace()["kept"], lambda: [job.terminate() for job in processes._jobs.values()])
    run = flows.taken_away()
    killer.join()
    attempts = run.steps["patient"].attempts
    assert [(str(one.state), one.reason) for one in attempts] == [
        ("preempted", "step 'patient' was told to end from outside, by signal 15 (SIGTERM)"),
        ("completed", "attempt 2 of 2 after preempted"),
    ]
    assert [run.steps["patient"].log(one) for one in (1, 2)] == ["from 0\n", "from 41\n"]
    assert run.steps["patient"].outputs["output"].load() == 42
    assert trace() == {"kept": 1, "went-on": 1}
