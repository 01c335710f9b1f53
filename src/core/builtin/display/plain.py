"""The display for files and pipes: one line for each change of state, without colours."""

from __future__ import annotations

import time

from core.builtin.display.tally import Tally
from core.model.event import EventKind
from core.model.states import StepState
from core.ports.observer import Observer
from core.text import duration, safe, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import TextIO

    from core.builtin.display.tally import Step
    from core.model.event import Event
    from core.model.plan import Plan

BIG = 200
"""Steps above which only failures and every tenth part of the way are printed."""
NAMES = 40
"""Widest column of names; longer names push their own line only."""


class PlainDisplay(Observer):
    """Prints to a stream: standard error in general, because standard output is the steps' own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tally = Tally()
        self._width = 0
        self._big = False
        self._tenth = 0

    def preparing(self, text: str) -> None:
        """Print the line."""
        self._print(safe(text))

    def planned(self, run: str, plan: Plan) -> None:
        """Print the head."""
        tally = self._tally
        tally.plan(run, plan)
        self._big = len(tally.steps) > BIG
        self._width = min(max((len(step.name) for step in tally.steps.values()), default=0), NAMES)
        size = f"  {len(tally.steps)} steps" if self._big else ""
        self._print(f"{tally.pipeline}  run {short(run)}  stack {tally.stack}{size}")

    def resumed(self, done: Collection[str]) -> None:
        """Print how much was finished before."""
        self._tally.resume(done)
        self._print(f"  {self._tally.resumed()}")

    def waiting(self, step: str, run: str) -> None:
        """Print whose result the step waits for."""
        waits = self._tally.wait(step, run)
        if not self._big:
            self._print(self._line(waits, "waiting", waits.note.removeprefix("waiting ")))

    def event(self, event: Event) -> None:
        """Print the change, if it is one that a person wants to see."""
        step = self._tally.take(event)
        if step is None:
            if event.kind == EventKind.STEP_EXPANDED:
                self._mapped(event.step)
            return
        if not self._big or step.state is StepState.FAILED:
            note = "" if step.state is StepState.COMPLETED else step.told(event.at)
            self._print(self._line(step, str(step.state), note))
        if self._big:
            self._progress()

    def close(self) -> None:
        """Print the end."""
        if self._tally.run:
            self._print("\n".join(self._tally.ending(time.time())))

    def _mapped(self, template: str) -> None:
        """The step has become its calls."""
        calls = self._tally.calls[template]
        self._big = len(self._tally.steps) > BIG
        self._width = min(max([self._width, *map(len, calls)]), NAMES)
        self._print(f"  {safe(template):<{self._width}}  {'mapped':<9}  × {len(calls)}")  # noqa: RUF001 - "times"

    def _line(self, step: Step, state: str, note: str) -> str:
        took = duration(step.seconds) if step.seconds is not None else ""
        return f"  {step.name:<{self._width}}  {state:<9}  {took}{'  ' if took and note else ''}{note}".rstrip()

    def _progress(self) -> None:
        tally = self._tally
        tenth = 10 * tally.done // len(tally.steps)
        if tenth > self._tenth:
            self._tenth = tenth
            self._print(f"  {10 * tenth:>3} %  {tally.done} of {len(tally.steps)}: {tally.summary()}")

    def _print(self, text: str) -> None:
        """Write a line; what the stream's encoding lacks shows as an escape, and a stream that is gone is no error."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # closed by the user's code or a broken pipe: the run matters more
