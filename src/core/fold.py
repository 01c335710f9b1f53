"""6. The set of a run's events, sorted out: its state, and which events count for each attempt. Pure, in any order."""

from __future__ import annotations

from core.model.event import TERMINAL, EventKind
from core.model.states import RunState
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from core.model.event import Event


_OF_RUN = (EventKind.RUN_STARTED, EventKind.RUN_RESUMED, EventKind.RUN_ENDED)
"""What a run's state is told by; wishes of others and kinds of later versions change none."""


class Folded(Value):
    """The events of a run, sorted out."""

    started: Mapping[str, Any]
    ended: Mapping[str, Any]
    state: RunState
    started_at: float | None
    ended_at: float | None
    epoch: int
    """The newest owner's."""
    steps: dict[str, dict[int, list[Event]]]
    """By step, then by attempt: the events of the highest epoch, by seq and writer: the first end counts. Of an attempt
    that was taken over, those of the epochs before it come first."""
    images: tuple[Mapping[str, Any], ...] = ()
    """As each owner of the run recorded them."""


def fold(events: Iterable[Event], *, silent: bool) -> Folded:
    """A pure function of the set of events; `silent` says that nobody holds the run's lease."""
    steps: dict[str, dict[int, list[Event]]] = {}
    of_run: list[Event] = []
    several: set[tuple[str, int]] = set()  # attempts of which more than one owner of the run wrote
    for event in sorted(set_of(events), key=lambda e: (e.epoch, e.seq, e.writer)):
        if not event.step:
            if event.kind in _OF_RUN:
                of_run.append(event)
            continue
        known = steps.setdefault(event.step, {}).setdefault(event.attempt, [])
        if known and known[-1].epoch < event.epoch:
            several.add((event.step, event.attempt))
        known.append(event)
    for step, attempt in several:
        steps[step][attempt] = _counting(steps[step][attempt])
    starts = [event for event in of_run if event.kind == EventKind.RUN_STARTED]
    epoch = of_run[-1].epoch if of_run else 0
    end = next((event for event in of_run if event.kind == EventKind.RUN_ENDED and event.epoch == epoch), None)
    state, ended = RunState.LOST if silent else RunState.RUNNING, {}
    if end is not None:
        state, ended = RunState(end.data.get("state", RunState.FAILED)), end.data
    started_at = min((event.at for event in starts), default=None)
    data = next((event.data for event in starts if event.epoch == starts[-1].epoch), {})
    images = tuple(image for event in of_run for image in event.data.get("images", ()))
    return Folded(data, ended, state, started_at, end.at if end else None, epoch, steps, images)


def _counting(events: list[Event]) -> list[Event]:
    """Of an attempt's events, ordered by epoch, those of the newest; where its owner took over, what others told."""
    epoch = events[-1].epoch
    newest = [event for event in events if event.epoch == epoch]
    if len(newest) == len(events) or all(event.kind != EventKind.JOB_TAKEN_OVER for event in newest):
        return newest
    older = _counting(events[: -len(newest)])
    return [event for event in older if event.kind not in TERMINAL] + newest


def set_of(events: Iterable[Event]) -> Iterator[Event]:
    """Each event once, whatever arrived twice."""
    seen = set()
    for event in events:
        key = event[:5]
        if key not in seen:
            seen.add(key)
            yield event
