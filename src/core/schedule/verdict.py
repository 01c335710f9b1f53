"""What became of an attempt that was a job, as its result: by what it recorded, else by its exit code and its cause."""

from __future__ import annotations

import sys

from core.bundle import UNTOLD, overdue
from core.errors import (
    TOLD,
    CoreError,
    ImageUnavailable,
    InfrastructureError,
    JobLost,
    OutOfMemory,
    StepCrashed,
)
from core.execute import Result
from core.model.artifact import ArtifactRef
from core.model.job import JobCause, JobPhase
from core.model.states import Fault, StepState
from core.pool.death import AGAIN, preempted
from core.pool.travel import stand_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.execute import Task
    from core.model.job import JobState

SIGNALS = 128
"""An exit code above it tells of a signal."""
_UNUSABLE, _UNRECORDED = 6, 7
_NO_PROGRAM = frozenset({126, 127})
_FROM_OUTSIDE = frozenset({1, 2, 3, 9})


def of_testimony(task: Task, data: Mapping[str, Any]) -> Result:
    """From the event that the attempt itself wrote."""
    state = StepState(data["state"])
    outputs = {name: ArtifactRef.from_data(ref) for name, ref in data["outputs"].items()}
    if state is StepState.COMPLETED:
        return Result(state, outputs, seconds=data["seconds"])
    if state is StepState.PREEMPTED:
        return preempted(task)._replace(seconds=data["seconds"])
    told = data["error"]
    error = _error(data["kinds"], told)
    return Result(state, {}, error, Fault(data["fault"]), told, data["seconds"])


def of_state(task: Task, state: JobState, *, doubted: bool = False) -> Result:
    """From what the orchestrator says of a job that left no word; `doubted`: of one whose word can't be believed."""
    step, code, reason = f"step {task.node.id!r}", state.exit_code, state.reason and f": {state.reason}"
    if state.phase is JobPhase.PREEMPTED or (code == SIGNALS + 15 and state.cause is JobCause.EXIT):
        return preempted(task)
    if state.phase is JobPhase.UNKNOWN:
        return lost(task, state.reason or "its orchestrator knows it no more")
    if state.phase is JobPhase.CANCELLED:
        return lost(task, "somebody else than its run ended it")
    if state.cause is JobCause.OUT_OF_MEMORY:
        hint = "give it more with @step(resources=Resources(memory=...)), or load less at a time"
        return _failed(OutOfMemory(f"{step} ran out of memory{reason}", hint))
    if state.cause is JobCause.IMAGE:
        return refused(task, ImageUnavailable(f"{step} can't have its image{reason}", AGAIN))
    if state.cause is JobCause.DEADLINE:
        return _failed(overdue(task.node.id, reason))
    if state.cause is JobCause.INFRASTRUCTURE or code is None:
        return lost(task, f"its job ended without a result{reason}")
    if doubted and code == 0:
        return lost(task, "it ended well, but another home launched it, which alone can tell its reports from others'")
    return _of_code(task, code, reason)


def _of_code(task: Task, code: int, reason: str) -> Result:
    step = f"step {task.node.id!r}"
    number = code - SIGNALS
    if number in _FROM_OUTSIDE:
        return lost(task, f"it was killed from outside by signal {number}{reason}")
    if number > 0:
        hint = "a library that it calls crashed: the end of its log shows where"
        return _failed(StepCrashed(f"{step} was killed by signal {number}{reason}", hint))
    if code == UNTOLD:
        return lost(task, "its job was not told what to do")
    if code == _UNRECORDED:
        return lost(task, f"its end could not be recorded: see its log{reason}")
    if code in _NO_PROGRAM:
        hint = "see that its image has Python as `python`; the step's log has what the engine said"
        return _failed(StepCrashed(f"{step} could not begin: its job's program can't be started{reason}", hint))
    if code == _UNUSABLE:
        hint = f"`core runs logs` shows what it said of that in the log of {task.node.id}"
        return _failed(StepCrashed(f"{step} could not begin in its job{reason}", hint))
    said = f"{step} ended its process with exit code {code} before it returned{reason}"
    return _failed(StepCrashed(said, "let it return; something in it calls os._exit()"))


def refused(task: Task, error: Exception) -> Result:
    """The orchestrator did not launch it."""
    if not isinstance(error, CoreError):
        said = f"step {task.node.id!r} can't be launched: {type(error).__name__}: {error}"
        error = InfrastructureError(said, "see what the error says; the orchestrator's plugin may be broken")
    fault = Fault.INFRASTRUCTURE if isinstance(error, InfrastructureError) else Fault.USER
    return Result(StepState.FAILED, {}, error, fault)


def lost(task: Task, said: str) -> Result:
    """The infrastructure is at fault."""
    return Result(StepState.FAILED, {}, JobLost(f"step {task.node.id!r}: {said}", AGAIN), Fault.INFRASTRUCTURE)


def _failed(error: CoreError) -> Result:
    return Result(StepState.FAILED, {}, error, Fault.USER)


def _error(kinds: list[str], told: Mapping[str, Any]) -> BaseException:
    """An exception of the same name and message.

    Its class is looked for in what is imported already, and nothing is unpickled: others may have written what is read.
    """
    known = [kind for kind in kinds if kind.partition(":")[0] in sys.modules]
    error = stand_in(known or ["builtins:Exception"], told.get("message", ""))
    try:
        setattr(error, TOLD, told.get("traceback", ""))
    except (AttributeError, TypeError):
        pass  # a class that takes no attributes: the record has the traceback
    return error
