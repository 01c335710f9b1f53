"""Events to rows and back, and what the indexes read in them; the same for every SQL database."""

from __future__ import annotations

import json

from blake3 import blake3

from core.model.artifact import ArtifactRef
from core.model.event import Event, EventKind
from core.model.plan import CachedResult
from core.model.states import RunState
from core.ports.tracking_store import RunRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

OF_RUN = (EventKind.RUN_STARTED, EventKind.RUN_RESUMED, EventKind.RUN_ENDED)
"""Kinds of events that a run's row is made of."""
RESULTS = (EventKind.ATTEMPT_COMPLETED, EventKind.STEP_REUSED)
"""Kinds of events that have outputs for others."""

_encode = json.JSONEncoder(separators=(",", ":")).encode  # ASCII: lone surrogates and NUL arrive as escapes


def row_of(event: Event) -> tuple[Any, ...]:
    """Row of the table `events`: the fields of the event in their order, data as JSON."""
    # str(): a StrEnum is not bound as text by every driver
    return (*event[:5], str(event.kind), *event[6:8], _encode(event.data), *event[9:])


def event_of(row: tuple[Any, ...]) -> Event:
    """The event that stands in a row."""
    return Event._make((*row[:8], json.loads(row[8]), *row[9:]))


def same_content(stored: tuple[Any, ...], row: tuple[Any, ...]) -> bool:
    """Whether a row holds the same event; the order of keys in its data does not matter."""
    if stored[:8] != row[:8] or stored[9:] != row[9:]:
        return False
    return stored[8] == row[8] or _sorted(stored[8]) == _sorted(row[8])


def _sorted(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def artifacts_of(data: Mapping[str, Any]) -> Iterator[str]:
    """Digests of the outputs that an event's data names, and of their parts."""
    for output in data.get("outputs", {}).values():
        yield output["digest"]
        yield from output.get("parts", ())


def place_of(*words: str) -> int:
    """The number that stands for words in the index of results, one of 2**63."""
    return int.from_bytes(blake3("\0".join(words).encode("utf-8", "surrogatepass")).digest(8), "big") >> 1


def places_of(kind: str, project: str, step: str, data: Mapping[str, Any]) -> list[int]:
    """Where a result is looked for: by its cache key, by its step, by each artifact."""
    key, pipeline = data.get("key"), data.get("pipeline")
    found = [place_of("artifact", digest) for digest in artifacts_of(data)]
    if isinstance(pipeline, str) and pipeline:
        found.append(place_of("step", project, pipeline, step))
    if kind == EventKind.ATTEMPT_COMPLETED and isinstance(key, str) and key:
        found.append(place_of("key", project, key))
    return found


def packed(places: list[int]) -> str:
    """Places as the text that stands beside their event."""
    return "".join([f"{place:016x}" for place in places])


def unpacked(text: str) -> list[int]:
    """Places out of that text."""
    return [int(text[start : start + 16], 16) for start in range(0, len(text), 16)]


def cached_of(result: tuple[Any, ...]) -> CachedResult:
    """What the planner is told of a result: run, step, attempt, time, ..., data, origin."""
    run, step, attempt, at, *_, data, origin = result
    outputs = {name: ArtifactRef.from_data(ref) for name, ref in data.get("outputs", {}).items()}
    return CachedResult(run, step, attempt, at, outputs, origin or "")


def run_row(events: list[Event]) -> RunRow | None:
    """Row of the table `runs` from the events of kinds `OF_RUN` of a run; None while no start is known.

    It has ended when no epoch is newer than that of an end; of ends in one epoch the lowest seq counts.
    Pipeline, stack and actor are those of the newest start, `started_at` is that of the first; going on changes none.
    """
    starts = [event for event in events if event.kind == EventKind.RUN_STARTED]
    if not starts:
        return None
    start = min(starts, key=_rank)
    end = min((event for event in events if event.kind == EventKind.RUN_ENDED), key=_rank, default=None)
    state, ended_at = str(RunState.RUNNING), None
    if end is not None and end.epoch == max(event.epoch for event in events):
        state, ended_at = str(end.data.get("state", RunState.FAILED)), end.at
    return RunRow(
        id=start.run,
        pipeline=str(start.data.get("pipeline", "")),
        state=state,
        started_at=min(event.at for event in starts),
        ended_at=ended_at,
        stack=str(start.data.get("stack", "")),
        project=start.project,
        actor=start.actor,
    )


def _rank(event: Event) -> tuple[int, int, str]:
    return -event.epoch, event.seq, event.writer
