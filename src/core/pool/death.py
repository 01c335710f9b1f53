"""What a worker that died without a result died of, in words and as an error."""

from __future__ import annotations

import os
import signal

from core.errors import OutOfMemory, StepCrashed, StepPreempted, StepTimeout, WorkerDied
from core.model.states import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.errors import CoreError
    from core.execute import Task


def explain(task: Task, status: int, peak: int, *, oom: bool) -> tuple[CoreError, Fault]:
    """The error, and whose it is: of a wait status, `peak` memory in KiB, and whether the kernel killed for memory."""
    step = f"step {task.node.id!r}"
    used = f"; it used {peak / (1 << 20):.1f} GiB at most" if peak > 1 << 19 else f"; it used {peak >> 10} MiB at most"
    if os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
        return StepCrashed(
            f"{step} ended its process with exit code {code} before it returned",
            "let it return instead of calling os._exit",
        ), Fault.USER
    number = os.WTERMSIG(status)
    name = signal.Signals(number).name if number in signal.Signals.__members__.values() else "unknown"
    if number == signal.SIGKILL and oom:
        return OutOfMemory(
            f"{step} ran out of memory: the kernel killed it{used}",
            "give it a larger machine, load less at a time, or run fewer steps side by side (--workers)",
        ), Fault.USER
    if number == signal.SIGKILL:
        return WorkerDied(
            f"{step} was killed from outside (signal 9, SIGKILL){used}",
            "see who kills it; it is tried again as often as its Retry.infrastructure says",
        ), (Fault.INFRASTRUCTURE)
    return StepCrashed(
        f"{step} crashed: its process was killed by signal {number} ({name}){used}",
        "a library that it calls is at fault; `python -X faulthandler` shows where",
    ), Fault.USER


def timed_out(task: Task) -> CoreError:
    """The error of a step that ran out of its `timeout`."""
    return StepTimeout(
        f"step {task.node.id!r} timed out after {task.spec.options.timeout:g} s",
        "give it more time: @step(timeout=...), or let it keep checkpoints",
    )


def preempted(task: Task) -> CoreError:
    """The error of a step whose process was told to end by somebody else."""
    return StepPreempted(
        f"step {task.node.id!r} was told to end from outside (signal 15, SIGTERM)", "it is tried again"
    )


def ooms() -> int:
    """How often the kernel has killed for want of memory since it started; 0 where it does not tell."""
    try:
        with open("/proc/vmstat", "rb") as file:
            text = file.read()
    except OSError:
        return 0
    place = text.find(b"\noom_kill ")
    return int(text[place + 10 :].split(b"\n", 1)[0]) if place >= 0 else 0
