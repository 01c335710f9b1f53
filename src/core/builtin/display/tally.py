"""What a display knows of a run: the state of each step, counted as events arrive."""

from __future__ import annotations

import os

from core.builtin.display.calls import calls_of
from core.model.event import TERMINAL, EventKind
from core.model.states import RunState, StepState
from core.model.value import Value
from core.text import duration, first_line, safe, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from core.model.event import Event
    from core.model.graph import Node
    from core.model.plan import Plan

_STATES: dict[str, StepState] = {EventKind.ATTEMPT_STARTED: StepState.RUNNING}
_STATES.update(TERMINAL.items())
_RAN = frozenset({StepState.COMPLETED, StepState.FAILED, StepState.CANCELLED, StepState.PREEMPTED})
_COUNTED = (
    (StepState.COMPLETED, "ran"),
    (StepState.REUSED, "reused"),
    (StepState.FAILED, "failed"),
    (StepState.SKIPPED, "skipped"),
    (StepState.CANCELLED, "cancelled"),
    (StepState.PREEMPTED, "preempted"),
)
NEW = "never ran"
"""The planner's reason for a first time: it says nothing beside a step that runs."""
BEFORE = "finished before"
"""Note of a step that an earlier owner of the run has finished."""
LONG = 2.0
"""Seconds that a run takes from which on it is worth a thought how it could have been shorter."""


class Step(Value):
    """One step as it stands."""

    name: str
    state: StepState
    attempt: int = 0
    began: float = 0.0
    """Seconds since 1970 when the newest attempt began."""
    seconds: float | None = None
    """How long the newest attempt took; None while it runs or when nothing ran."""
    note: str = ""
    """Why it runs, was reused or was skipped, what it waits for, or what went wrong; safe to print."""
    again: str = ""
    """Which attempt follows this one, which failed: `attempt 2 of 3`; empty when none does."""
    due: float = 0.0
    """Seconds since 1970 when it does."""

    @property
    def counted(self) -> StepState:
        """As what it counts: one that will be tried again waits."""
        return StepState.PENDING if self.again else self.state

    def told(self, now: float) -> str:
        """The note, and when the next try comes."""
        if not self.again:
            return self.note
        left = self.due - now
        soon = f"retrying in {_round(left)} ({self.again})" if left >= 0.05 else f"retrying ({self.again})"
        return f"{self.note}; {soon}" if self.note else soon


class Tally:
    """The steps of one run and how many are in which state."""

    def __init__(self) -> None:
        self.run = ""
        self.pipeline = ""
        self.stack = ""
        self.state = RunState.PENDING
        self.began = 0.0
        self.ended = 0.0
        self.error = ""
        """Why the run failed, where no step tells."""
        self.steps: dict[str, Step] = {}
        self.counts = dict.fromkeys(StepState, 0)
        self.nodes: tuple[Node, ...] = ()
        self.calls: dict[str, list[str]] = {}
        """Of each mapped step that was expanded, the ids of its calls."""
        self.busy: dict[str, float] = {}
        """Seconds that the attempts of a step took, in the order in which they began."""
        self.parallel = False
        """Whether two steps were ever at work at a time, or one waited for another run."""
        self.cpu = 0.0
        """Seconds of CPU that this process, and children that ended, had taken before the first step."""
        self.before: Collection[str] = ()
        """Ids of the steps that were finished before, in a run that goes on."""

    def plan(self, run: str, plan: Plan) -> None:
        """Take up the plan."""
        self.run, self.pipeline, self.stack = run, safe(plan.graph.pipeline), safe(plan.stack)
        self.nodes = plan.graph.nodes
        self.cpu = sum(os.times()[:4])
        self.steps = {node.id: Step(safe(node.id), StepState.PENDING) for node in self.nodes}
        self.counts[StepState.PENDING] = len(self.steps)

    def resume(self, done: Collection[str]) -> None:
        """Take up what was finished before."""
        self.before = done
        for name in done:
            if name in self.steps:
                self._put(name, Step(safe(name), StepState.COMPLETED, note=BEFORE))

    def take(self, event: Event) -> Step | None:
        """Take up an event; gives the step when its state changed."""
        if not event.step:
            self._take_of_run(event)
            return None
        state = _STATES.get(event.kind)
        if state is None:
            if event.kind == EventKind.STEP_EXPANDED:
                self._expand(event)
            return None
        name = event.step
        before = self.steps.get(name)
        shown = before.name if before is not None else safe(name)
        if state is StepState.RUNNING:
            self.parallel = self.parallel or self.counts[state] > 0
            step = Step(shown, state, event.attempt, event.at, None, _note(event, ""))
        else:
            step = self._ended(event, state, shown, before)
        self._put(name, step)
        return step

    def _ended(self, event: Event, state: StepState, shown: str, before: Step | None) -> Step:
        began = before.began if before is not None else 0.0
        seconds = event.data.get("seconds", event.at - began) if state in _RAN else None
        if seconds is not None:
            self.busy[event.step] = self.busy.get(event.step, 0.0) + seconds
        step = Step(
            shown, state, event.attempt, began, seconds, _note(event, before.note if before is not None else "")
        )
        retry = event.data.get("retry")
        if not retry:
            return step
        which = str(retry["reason"]).partition(" after ")[0]
        return step._replace(again=which, due=event.at + retry["seconds"])

    def wait(self, name: str, run: str) -> Step:
        """Take up that a step waits for the result of `run`, which may not be known."""
        self.parallel = True
        whose = f"run {short(run)}" if run else "another run"
        step = Step(safe(name), StepState.PENDING, note=f"waiting for {whose}, which runs the same step")
        self._put(name, step)
        return step

    def _put(self, name: str, step: Step) -> None:
        before = self.steps.get(name)
        if before is not None:
            self.counts[before.counted] -= 1
        self.counts[step.counted] += 1
        self.steps[name] = step

    def _expand(self, event: Event) -> None:
        """Put the calls of a mapped step in its place."""
        template = event.step
        calls = self.calls[template] = calls_of(template, event.data["shape"])
        fresh = {call: Step(safe(call), StepState.PENDING) for call in calls}
        if self.before:
            stayed = {call: Step(safe(call), StepState.COMPLETED, note=BEFORE) for call in calls if call in self.before}
            fresh |= stayed
        old, self.steps = self.steps, {}
        for name, step in old.items():
            if name != template:
                self.steps[name] = step
                continue
            self.counts[step.counted] -= 1
            self.steps |= fresh
            for one in fresh.values():
                self.counts[one.state] += 1

    def _take_of_run(self, event: Event) -> None:
        if event.kind in {EventKind.RUN_STARTED, EventKind.RUN_RESUMED}:
            self.state, self.began = RunState.RUNNING, event.at
        elif event.kind == EventKind.RUN_ENDED:
            self.state, self.ended = RunState(event.data["state"]), event.at
            self.error = first_line(str(event.data.get("error") or ""))

    @property
    def done(self) -> int:
        """Steps that wait for nothing any more."""
        return len(self.steps) - self.counts[StepState.PENDING] - self.counts[StepState.RUNNING]

    def summary(self) -> str:
        """`3 ran, 2 reused, 1 failed`."""
        counts = self.counts
        if self.before:
            stayed = sum(step.note == BEFORE for step in self.steps.values())
            counts = {**counts, StepState.COMPLETED: counts[StepState.COMPLETED] - stayed}
        words = [f"{counts[state]} {word}" for state, word in _COUNTED if counts[state]]
        if self.before:
            words.append(f"{stayed} {BEFORE}")
        return ", ".join(words) or "no steps"

    def resumed(self) -> str:
        """How much an earlier owner of the run has finished."""
        count = len(self.before)
        return f"resumed: {count or 'no'} step{'' if count == 1 else 's'} {'was' if count == 1 else 'were'} {BEFORE}"

    def ending(self, now: float) -> list[str]:
        """The last lines of a run: how it ended, and where to look further."""
        took = duration((self.ended or now) - self.began)
        if self.ended:
            first = f"{self.pipeline} {self.state} in {took}: {self.summary()}"
        else:
            first = f"{self.pipeline} stopped after {took}: {self.summary()}"
        lines = [first, f"  {self.error}"] if self.error and not self.counts[StepState.FAILED] else [first]
        failed = next((step.name for step in self.steps.values() if step.counted is StepState.FAILED), "")
        if failed:
            quoted = failed if failed.isidentifier() else f"'{failed}'"
            lines.append(f"  core runs logs {short(self.run)} {quoted}")
        lines.append(f"  core runs show {short(self.run)}")
        if not self.parallel and self.ended - self.began > LONG:
            from core.builtin.display.saving import saving  # start-up time: a short run could not be much shorter

            lines += saving(self)
        return lines


def _note(event: Event, before: str) -> str:
    """What to say beside the state: what went wrong, or why it runs, was reused or was skipped."""
    if event.kind == EventKind.ATTEMPT_FAILED:
        error = event.data.get("error") or {}
        return first_line(f"{error.get('type', 'error')}: {error.get('message', '')}".rstrip(": "))
    if event.kind == EventKind.ATTEMPT_COMPLETED:
        return before
    reason = first_line(str(event.data.get("reason", "")))
    return "" if reason == NEW else reason


def _round(seconds: float) -> str:
    """`2 s`, `0.5 s`: a time to come is not known to the hundredth."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    return duration(seconds) if seconds >= 10 else f"{seconds:.0f} s"
