"""Further tries: the step's own failures and those of the infrastructure have budgets of their own."""

from __future__ import annotations

import random
import time
from heapq import heappop, heappush

from core.model.artifact import ArtifactRef
from core.model.event import EventKind
from core.model.spec import Retry
from core.model.states import Fault, StepState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.execute import Result, Task
    from core.record import Recorder

_ONCE = Retry(attempts=1)
"""For a step that declares no `Retry`: its own failures are final."""
LONGEST = 365 * 86_400.0
"""Seconds that a delay grows to: an infinite one could not be recorded."""


class Retries:
    """Attempts that wait for their time."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Task]] = []
        self._failures: dict[tuple[str, Fault], int] = {}

    def __bool__(self) -> bool:
        """Whether one waits."""
        return bool(self._waiting)

    def pause(self) -> float:
        """Seconds until the first is due."""
        return max(self._waiting[0][0] - time.monotonic(), 0.0) if self._waiting else float("inf")

    def due(self) -> list[Task]:
        """Those whose time has come."""
        found = []
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            found.append(heappop(self._waiting)[2])
        return found

    def take(self, task: Task, result: Result) -> Mapping[str, Any] | None:
        """The try that follows, when `task`, which failed, is worth one by its budgets: it then waits here.

        Plain data: its `reason`, and in how many `seconds` it is due.
        """
        retry = task.spec.options.retry or _ONCE
        fault = Fault.INFRASTRUCTURE if result.state is StepState.PREEMPTED else result.fault
        key = (task.node.id, fault)
        failed = self._failures[key] = self._failures.get(key, 0) + 1
        if result.state is StepState.CANCELLED:
            return None
        if fault is Fault.INFRASTRUCTURE:
            tries = 1 + retry.infrastructure
        else:
            tries = retry.attempts if isinstance(result.error, retry.on) else 0
        if failed >= tries:
            return None
        what = "preempted" if result.state is StepState.PREEMPTED else type(result.error).__name__
        reason = f"attempt {failed + 1} of {tries} after {what}"
        again = task._replace(decision=task.decision._replace(reason=reason), number=task.number + 1)
        seconds = delay(retry, failed)
        heappush(self._waiting, (time.monotonic() + seconds, id(again), again))
        return {"seconds": round(seconds, 3), "reason": reason}


def delay(retry: Retry, failed: int) -> float:
    """Seconds to wait after `failed` failures."""
    try:
        seconds = min(retry.delay * retry.backoff ** (failed - 1), LONGEST)
    except OverflowError:
        seconds = LONGEST if retry.delay else 0.0
    return seconds * (1 + retry.jitter * random.uniform(-1, 1))  # noqa: S311


def newest_checkpoint(recorder: Recorder, task: Task) -> ArtifactRef | None:
    """What the newest attempt of the step that kept something kept last, if it had the same inputs."""
    recorder.flush()
    taken = task.taken()
    kept = [
        event
        for event in recorder.tracking.events(recorder.run, task.node.id)
        if event.kind == EventKind.CHECKPOINT and event.data.get("inputs") == taken
    ]
    if not kept:
        return None
    newest = max(kept, key=lambda event: (event.attempt, event.epoch, event.seq))
    return ArtifactRef.from_data(newest.data["artifact"])
