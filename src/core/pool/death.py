"""What a worker that died without a result died of, as the result of its attempt."""

from __future__ import annotations

import os
import signal

from core.errors import OutOfMemory, StepCrashed, StepPreempted, StepTimeout, WorkerDied
from core.execute import Result, error_data
from core.model.nothing import NOTHING
from core.model.states import Fault, StepState
from core.pool.kernel import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.errors import CoreError
    from core.execute import Task

AGAIN = "it is tried again as often as `Retry(infrastructure=...)` says"
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})


def died(task: Task, status: int, peak: int, *, oom: bool) -> Result:
    """From its wait status, the most memory that it had (bytes), and whether the kernel killed for want of memory."""
    step = f"step {task.node.id!r}"
    if os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
        said = f"{step} ended its process with exit code {code} before it returned"
        return _failed(StepCrashed(said, "let it return; something in it calls os._exit()"))
    number = os.WTERMSIG(status)
    if number == signal.SIGTERM:
        return preempted(task)
    if number == signal.SIGKILL and oom:
        said = f"{step} ran out of memory: the kernel killed it at {_size(peak)}"
        return _failed(
            OutOfMemory(said, "load less at a time, run fewer steps side by side (--workers), or take a larger machine")
        )
    said = f"{step} was killed by signal {number} ({signal_name(number)})"
    if number in _FROM_OUTSIDE:
        return lost(f"{said} from outside, at {_size(peak)} of memory")
    return _failed(StepCrashed(said, "a library that it calls crashed: the end of its log shows where"))


def lost(said: str) -> Result:
    """The infrastructure is at fault."""
    return Result(StepState.FAILED, {}, WorkerDied(said, AGAIN), Fault.INFRASTRUCTURE)


def timed_out(task: Task, told: Mapping[str, Any] = NOTHING) -> Result:
    """It ran out of its `timeout`; `told` says where it was when it was interrupted."""
    said = f"step {task.node.id!r} timed out after {task.spec.options.timeout:g} s"
    error = StepTimeout(said, "give it more with @step(timeout=...), or let it keep checkpoints")
    if not told:
        return _failed(error)
    place = {name: told[name] for name in ("where", "traceback")}
    return _failed(error)._replace(told={**error_data(error), **place})


def preempted(task: Task) -> Result:
    """Somebody else than its run told it to end."""
    error = StepPreempted(f"step {task.node.id!r} was told to end from outside, by signal 15 (SIGTERM)", AGAIN)
    return Result(StepState.PREEMPTED, {}, error, Fault.INFRASTRUCTURE)


def cancelled(said: str = "") -> Result:
    """Its run told it to end."""
    return Result(StepState.CANCELLED, {}, KeyboardInterrupt(*filter(None, (said,))))


def _failed(error: CoreError) -> Result:
    return Result(StepState.FAILED, {}, error, Fault.USER)


def _size(peak: int) -> str:
    return f"{peak / (1 << 30):.1f} GiB" if peak >= 1 << 30 else f"{peak >> 20} MiB"
