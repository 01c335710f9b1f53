"""Events and documents to objects, and back; what others may have written there is checked first."""

from __future__ import annotations

import json

from core.builtin.journal.layout import LARGEST, NOBODY, batch_name, digest_of, spelled
from core.builtin.journal.shape import is_count, is_finite, wrong
from core.errors import CorruptDataError
from core.model.event import Event
from core.model.value import Value
from core.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.ports.artifact_store import ArtifactStore

FORMAT = 1
"""Version of the objects; what a later version of core writes is left for it."""
SPLIT = LARGEST // 2
"""Bytes from which on events are shared out among several objects."""


class Batch(Value):
    """What one object holds."""

    events: Sequence[Event]
    documents: Mapping[str, str]


def pack(batch: Batch) -> bytes:
    """Its bytes: JSON in ASCII."""
    events = [(*event[:5], str(event.kind), *event[6:]) for event in batch.events]
    data = {"core": "journal", "format": FORMAT, "events": events, "documents": dict(batch.documents)}
    return json.dumps(data, separators=(",", ":")).encode("ascii")


def publish(
    area: ArtifactStore, events: Sequence[Event], documents: Mapping[str, str], names: list[str] | None = None
) -> list[str]:
    """Write one object for each run that there are events of, documents with the first; gives their names.

    They are noted in `names` before they are written: where one failed, it may be there all the same.

    More than `SPLIT` bytes become several: what is larger than `LARGEST` is not read. One event that is, is written all
    the same: who reads names it, and refused here it would keep all of the run that comes after it from the journal.
    """
    runs: dict[str, list[Event]] = {}
    for event in events:
        runs.setdefault(event.run, []).append(event)
    if documents and not runs:
        runs[NOBODY] = []
    names = [] if names is None else names
    todo = list(runs.items())
    while todo:
        run, own = todo.pop(0)
        data = pack(Batch(own, documents))
        if len(data) > SPLIT and len(own) > 1:
            half = len(own) // 2
            todo[:0] = [(run, own[:half]), (run, own[half:])]
            continue
        documents = {}
        names.append(batch_name(run, own[0].writer, own[0].seq, data) if own else batch_name(run, NOBODY, 0, data))
        area.write(names[-1], data)
    return names


def unpack(name: str, data: bytes) -> Batch:
    """What the object called `name` holds; raises `CorruptDataError` that says why it can't be used."""
    _, run, _, file = name.split("/")
    if file.rpartition("-")[2] != f"{digest_of(data)}.json":
        raise _unusable(name, "its bytes are not those that its name tells: it is half-written, or was changed")
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _unusable(name, f"it is no JSON ({type(error).__name__})") from None
    if not isinstance(told, dict) or told.get("core") != "journal":
        raise _unusable(name, "it is no part of a journal")
    if told.get("format") != FORMAT:
        raise _unusable(
            name, f"its format is {told.get('format')!r}, core {VERSION} reads {FORMAT}: a newer core is needed"
        )
    rows, documents = told.get("events"), told.get("documents")
    if not isinstance(rows, list) or not isinstance(documents, dict) or not (rows or run == NOBODY):
        raise _unusable(name, "it has no events")
    if not all(isinstance(text, str) for text in documents.values()):
        raise _unusable(name, "a document in it is no text")
    for row in rows:
        wrong = _wrong(row, run)
        if wrong:
            raise _unusable(name, f"event {str(row)[:100]!r}: {wrong}")
    return Batch([Event._make(row[: len(Event._fields)]) for row in rows], documents)


def _wrong(row: Any, run: str) -> str:
    """What is wrong with an event in the folder `run`; later versions may add fields at the end."""
    if not isinstance(row, list) or len(row) < len(Event._fields):
        return "it is no event"
    event = Event._make(row[: len(Event._fields)])
    texts = (event.run, event.step, event.writer, event.kind, event.project, event.actor)
    if not all(isinstance(text, str) for text in texts) or not isinstance(event.data, dict):
        return "a field is of another type"
    if not all(map(is_count, (event.attempt, event.seq, event.epoch, event.version))):
        return "a number is of another type, negative or too large"
    if not is_finite(event.at):
        return "its time is no number"
    field = wrong(event.kind, event.data)
    if field:
        return f"what it says of {field!r} can't be read"
    return "" if spelled(event.run) == run else "it is of another run"


def _unusable(name: str, why: str) -> CorruptDataError:
    return CorruptDataError(f"object {name!r}: {why}", "it is left alone; look at it, and remove it if nobody needs it")
