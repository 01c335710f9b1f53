"""The calls of a mapped step, which a display may tell as one: twelve of `clean`, 7 done, 2 running."""

from __future__ import annotations

from core.model.states import StepState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from core.builtin.display.tally import Step

_WORDS = (
    (StepState.RUNNING, "running"),
    (StepState.FAILED, "failed"),
    (StepState.CANCELLED, "cancelled"),
    (StepState.PREEMPTED, "preempted"),
    (StepState.SKIPPED, "skipped"),
    (StepState.PENDING, "waiting"),
)
_WORST = (
    StepState.FAILED,
    StepState.RUNNING,
    StepState.CANCELLED,
    StepState.PREEMPTED,
    StepState.PENDING,
    StepState.SKIPPED,
)
_DONE = frozenset({StepState.COMPLETED, StepState.REUSED})


def calls_of(template: str, shape: Any) -> list[str]:
    """Ids of the calls that a mapped step became."""
    from core.model.expand import places  # start-up time: few graphs have mapped steps

    return list(places(shape, template))


def template_of(name: str) -> str:
    """`clean` for `clean[3]` and `clean[3][0]`; empty for a step that is no call of a mapped one."""
    template = ""
    while name.endswith("]"):
        name, _, index = name[:-1].rpartition("[")
        if not index.isdecimal():
            break
        template = name
    return template


def grouped(steps: Iterable[Step]) -> Iterator[tuple[str, list[Step]]]:
    """Calls of one mapped step that stand side by side, each other step alone, with an empty name."""
    group: list[Step] = []
    before = ""
    for step in steps:
        template = template_of(step.name)
        if template and template == before:
            group.append(step)
            continue
        if group:
            yield before, group
        group, before = [step], template
    if group:
        yield before, group


def told(calls: Iterable[Step]) -> str:
    """`7 done, 2 running, 3 waiting`."""
    counts = dict.fromkeys(StepState, 0)
    for call in calls:
        counts[call.counted] += 1
    done = sum(counts[state] for state in _DONE)
    words = [f"{counts[state]} {word}" for state, word in _WORDS if counts[state]]
    return ", ".join([f"{done} done", *words] if done or not words else words)


def worst(calls: Iterable[Step]) -> StepState:
    """The state that many calls are shown in as one."""
    states = {call.counted for call in calls}
    return next((state for state in _WORST if state in states), StepState.COMPLETED)
