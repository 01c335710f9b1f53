"""What a display knows of a run: the state of each step, counted as events arrive."""

from __future__ import annotations

from core.model.event import TERMINAL, EventKind
from core.model.states import RunState, StepState
from core.model.value import Value
from core.text import duration, first_line, safe, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.model.event import Event
    from core.model.plan import Plan

_STATES: dict[str, StepState] = {EventKind.ATTEMPT_STARTED: StepState.RUNNING}
_STATES.update(TERMINAL.items())
_COUNTED = (
    (StepState.COMPLETED, "ran"),
    (StepState.REUSED, "reused"),
    (StepState.FAILED, "failed"),
    (StepState.SKIPPED, "skipped"),
    (StepState.CANCELLED, "cancelled"),
)
NEW = "never ran"
"""The planner's reason for a first time: it says nothing beside a step that runs."""


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
    """Why it runs, was reused or was skipped, or what went wrong; safe to print."""


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

    def plan(self, run: str, plan: Plan) -> None:
        """Take up the plan."""
        self.run, self.pipeline, self.stack = run, safe(plan.graph.pipeline), safe(plan.stack)
        self.steps = {node.id: Step(safe(node.id), StepState.PENDING) for node in plan.graph.nodes}
        self.counts[StepState.PENDING] = len(self.steps)

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
        before = self.steps.get(event.step) or Step(safe(event.step), StepState.PENDING)
        began = event.at if state is StepState.RUNNING else before.began
        ran = state in {StepState.COMPLETED, StepState.FAILED, StepState.CANCELLED}
        seconds = event.data.get("seconds", event.at - began) if ran else None
        step = Step(before.name, state, event.attempt, began, seconds, _note(event, before))
        self.counts[before.state] -= event.step in self.steps
        self.counts[state] += 1
        self.steps[event.step] = step
        return step

    def _expand(self, event: Event) -> None:
        """Put the calls of a mapped step in its place."""
        from core.model.expand import places  # start-up time: few graphs have mapped steps

        old, self.steps = self.steps, {}
        for name, step in old.items():
            if name != event.step:
                self.steps[name] = step
                continue
            self.counts[step.state] -= 1
            calls = {call: Step(safe(call), StepState.PENDING) for call in places(event.data["shape"], name)}
            self.counts[StepState.PENDING] += len(calls)
            self.steps |= calls

    def _take_of_run(self, event: Event) -> None:
        if event.kind == EventKind.RUN_STARTED:
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
        return ", ".join(f"{self.counts[state]} {word}" for state, word in _COUNTED if self.counts[state]) or "no steps"

    def ending(self, now: float) -> list[str]:
        """The last lines of a run: how it ended, and where to look further."""
        took = duration((self.ended or now) - self.began)
        if self.ended:
            first = f"{self.pipeline} {self.state} in {took}: {self.summary()}"
        else:
            first = f"{self.pipeline} stopped after {took}: {self.summary()}"
        lines = [first, f"  {self.error}"] if self.error and not self.counts[StepState.FAILED] else [first]
        failed = next((step.name for step in self.steps.values() if step.state is StepState.FAILED), "")
        if failed:
            quoted = failed if failed.isidentifier() else f"'{failed}'"
            lines.append(f"  core runs logs {short(self.run)} {quoted}")
        return [*lines, f"  core runs show {short(self.run)}"]


def _note(event: Event, before: Step) -> str:
    """What to say beside the state: what went wrong, or why it runs, was reused or was skipped."""
    if event.kind == EventKind.ATTEMPT_FAILED:
        error = event.data.get("error") or {}
        return first_line(f"{error.get('type', 'error')}: {error.get('message', '')}".rstrip(": "))
    if event.kind == EventKind.ATTEMPT_COMPLETED:
        return before.note
    reason = first_line(str(event.data.get("reason", "")))
    return "" if reason == NEW else reason
