"""Two launchers as one: steps whose orchestrator launches jobs are jobs, the others run on this machine."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from core.execute import Result, Task
    from core.pool import Pool
    from core.schedule.inline import Inline
    from core.schedule.jobs import Jobs

TURN = 0.05
"""Seconds for which one is listened to while the other has attempts at work, too."""


class Mixed:
    """Routes each attempt by the orchestrator of its step."""

    def __init__(self, here: Pool | Inline, jobs: Jobs) -> None:
        self._here = here
        self._jobs = jobs
        self.slots = here.slots + jobs.slots
        """Attempts that may be at work at a time."""
        self._at_work = {True: 0, False: 0}  # by whether it is a job

    def __enter__(self) -> Self:
        self._here.__enter__()
        self._jobs.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            self._jobs.__exit__(*raised)  # type: ignore[arg-type]
        finally:
            self._here.__exit__(*raised)

    def launch(self, task: Task) -> None:
        """Begin an attempt."""
        self._at_work[self._is_job(task)] += 1
        (self._jobs if self._is_job(task) else self._here).launch(task)

    def take_over(self, task: Task) -> bool:
        """Go on with one of an owner before."""
        found = self._is_job(task) and self._jobs.take_over(task)
        self._at_work[True] += found
        return found

    def wait(self, seconds: float | None) -> list[tuple[Task, Result]]:
        """Attempts that ended, of either."""
        jobs, here = self._at_work[True], self._at_work[False]
        if not jobs or not here:
            ended = (self._jobs if jobs else self._here).wait(seconds)
        else:
            ended = self._here.wait(0.0) or self._jobs.wait(TURN if seconds is None else min(seconds, TURN))
        for task, _ in ended:
            self._at_work[self._is_job(task)] -= 1
        return ended

    def stop(self, task: Task, *, now: bool) -> None:
        """Tell it to end, or end it `now`."""
        (self._jobs if self._is_job(task) else self._here).stop(task, now=now)

    def clear(self) -> None:
        """Leave nothing of the jobs; workers end with this process."""
        self._jobs.clear()

    def _is_job(self, task: Task) -> bool:
        return self._jobs.knows(task)
