"""A launcher double: attempts end in an order that a seed decides, as they would on many workers."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from core.execute import perform

if TYPE_CHECKING:
    from typing import Self

    from core.execute import Bench, Result, Task


class ShuffledLauncher:
    """Runs each attempt in this process, when the scheduler waits, in an order drawn from `seed`."""

    def __init__(self, bench: Bench, slots: int = 4, seed: int = 0) -> None:
        self.slots = slots
        self.most = 0
        """Attempts that were at work at a time, at most."""
        self._bench = bench
        self._random = Random(seed)  # noqa: S311 - repeats itself on purpose
        self._launched: list[Task] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left."""

    def launch(self, task: Task) -> None:
        """Note that it is wanted."""
        self._launched.append(task)
        self.most = max(self.most, len(self._launched))

    def wait(self, seconds: float | None) -> list[tuple[Task, Result]]:  # noqa: ARG002 - the launcher's signature
        """One of those that were launched, run now."""
        if not self._launched:
            return []
        task = self._launched.pop(self._random.randrange(len(self._launched)))
        return [(task, perform(self._bench, task))]

    def stop(self, task: Task, *, now: bool) -> None:
        """Nothing: between two launches there is none at work."""

    def clear(self) -> None:
        """Nothing is left."""

    def take_over(self, task: Task) -> bool:  # noqa: ARG002 - the launcher's signature
        """False: what ended with its process can't go on."""
        return False
