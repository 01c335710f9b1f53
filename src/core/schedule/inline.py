"""The launcher of the driver's own process: an attempt is over when it is launched; pdb and errors are plain Python."""

from __future__ import annotations

import time

from core.execute import perform
from core.interrupt import doze

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from core.execute import Bench, Result, Task


class Inline:
    """Runs each attempt in this process, while it is launched."""

    slots = 1

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._ended: list[tuple[Task, Result]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left."""

    def launch(self, task: Task) -> None:
        """The whole attempt."""
        self._ended.append((task, perform(self._bench, task)))

    def wait(self, seconds: float | None) -> list[tuple[Task, Result]]:
        """What was launched since; with nothing to give, sleep."""
        if not self._ended and seconds:
            doze(time.sleep, seconds)
        ended, self._ended = self._ended, []
        return ended

    def stop(self, task: Task, *, now: bool) -> None:
        """Nothing: between two launches there is none at work."""

    def clear(self) -> None:
        """Nothing is left."""

    def take_over(self, task: Task) -> bool:  # noqa: ARG002 - the launcher's signature
        """False: what ended with its process can't go on."""
        return False
