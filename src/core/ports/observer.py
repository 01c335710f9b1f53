"""Observer: is told of a run while it happens (terminal displays, notifications); it can't change anything."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from core.model.event import Event
    from core.model.plan import Plan


class Observer:
    """Every method is optional. One that raises is reported once and set aside; the run goes on."""

    def preparing(self, text: str) -> None:
        """Called before `planned` with a line about what is made for the run before its first step: images."""

    def planned(self, run: str, plan: Plan) -> None:
        """Called once, before the first step: `run` is the id, `plan` says what each step will do and why."""

    def resumed(self, done: Collection[str]) -> None:
        """Called after `planned` when an earlier run goes on: ids of the steps that are finished and stay so."""

    def event(self, event: Event) -> None:
        """Called for every event of the run, in the order in which they happen."""

    def waiting(self, step: str, run: str) -> None:
        """Called when `step` waits for the result of `run` (empty: not known yet), which does the same work."""

    def output(self, step: str, stream: str, text: str) -> bool:  # noqa: ARG002 - optional
        """Called with what a step prints to `stream` (`stdout`, `stderr`). True: shown here, print it no more."""
        return False

    def close(self) -> None:
        """Called once, after the last event, also when the run was interrupted."""
