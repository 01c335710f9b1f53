"""What became of a job that left no word: read from its exit code, and from what its orchestrator says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from core import entrypoint
from core.bundle import UNTOLD
from core.errors import ImageUnavailable, JobLost, OutOfMemory, StepCrashed, StepTimeout
from core.model.job import JobCause, JobPhase, JobState
from core.model.states import Fault, StepState
from core.schedule.verdict import of_state

TASK: Any = SimpleNamespace(node=SimpleNamespace(id="train"), number=1)


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (entrypoint.UNUSABLE, StepCrashed, "could not begin in its job: no room"),
        (entrypoint.UNRECORDED, JobLost, "its end could not be recorded: see its log: no room"),
        (UNTOLD, JobLost, "was not told what to do"),
        (126, StepCrashed, "its job's program can't be started: no room"),
        (127, StepCrashed, "its job's program can't be started"),
        (128 + 9, JobLost, "was killed from outside by signal 9"),
        (128 + 2, JobLost, "was killed from outside by signal 2"),
        (128 + 11, StepCrashed, "was killed by signal 11"),
        (0, StepCrashed, "exit code 0 before it returned"),
        (entrypoint.FAILED, StepCrashed, "exit code 1 before it returned"),
        (9, StepCrashed, "exit code 9 before it returned: no room"),
        (None, JobLost, "ended without a result: no room"),
    ],
)
def test_by_its_exit_code(code: int | None, error: type[Exception], said: str) -> None:
    result = of_state(TASK, JobState(JobPhase.FAILED if code else JobPhase.SUCCEEDED, code, "no room"))
    assert (type(result.error), result.state) == (error, StepState.FAILED)
    assert str(result.error).startswith("step 'train'")
    assert said in str(result.error)
    assert result.fault is (Fault.INFRASTRUCTURE if error is JobLost else Fault.USER)


def test_one_whose_word_cannot_be_believed_runs_again_unless_it_failed() -> None:
    result = of_state(TASK, JobState(JobPhase.SUCCEEDED, 0), doubted=True)
    assert (type(result.error), result.fault) == (JobLost, Fault.INFRASTRUCTURE)
    assert "another home launched it" in str(result.error)
    assert type(of_state(TASK, JobState(JobPhase.FAILED, 9), doubted=True).error) is StepCrashed


def test_one_that_was_told_to_end_was_taken_away() -> None:
    for state in (JobState(JobPhase.FAILED, entrypoint.TOLD), JobState(JobPhase.PREEMPTED, 1)):
        result = of_state(TASK, state)
        assert (result.state, result.fault) == (StepState.PREEMPTED, Fault.INFRASTRUCTURE)


@pytest.mark.parametrize(
    ("state", "error", "fault"),
    [
        (JobState(JobPhase.UNKNOWN, 0), JobLost, Fault.INFRASTRUCTURE),
        (JobState(JobPhase.CANCELLED, 137), JobLost, Fault.INFRASTRUCTURE),
        (JobState(JobPhase.FAILED, 137, "", JobCause.OUT_OF_MEMORY), OutOfMemory, Fault.USER),
        (JobState(JobPhase.FAILED, 1, "", JobCause.IMAGE), ImageUnavailable, Fault.INFRASTRUCTURE),
        (JobState(JobPhase.FAILED, entrypoint.TOLD, "", JobCause.DEADLINE), StepTimeout, Fault.USER),
        (JobState(JobPhase.FAILED, 255, "", JobCause.INFRASTRUCTURE), JobLost, Fault.INFRASTRUCTURE),
        (JobState(JobPhase.FAILED, entrypoint.TOLD, "", JobCause.INFRASTRUCTURE), JobLost, Fault.INFRASTRUCTURE),
    ],
)
def test_by_what_its_orchestrator_says(state: JobState, error: type[Exception], fault: Fault) -> None:
    result = of_state(TASK, state)
    assert (type(result.error), result.fault) == (error, fault)
