"""Folds a journal into a tracking store: every object once, in any order; what can't be used is named and set aside."""

from __future__ import annotations

from core.builtin.journal.batch import Batch, unpack
from core.errors import CorruptDataError, EventConflictError
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from core.ports.artifact_store import ArtifactStore

TOGETHER = 200
"""Objects whose events are appended in one transaction."""


class Aside(Value):
    """An object that could not be used."""

    name: str
    why: str


class Folded(Value):
    """What a folding brought."""

    names: list[str]
    """Objects that were folded, those of `aside` not among them."""
    events: int
    aside: list[Aside]
    runs: set[str]
    """Ids of the runs that the events are of."""


def fold(area: ArtifactStore, names: Sequence[str], append: Callable[[list[str], Batch], None]) -> Folded:
    """Read the objects `names` and hand them to `append`, which gets names and what they hold, many at a time.

    An `append` that raises `EventConflictError` has appended nothing; then each object is tried alone.
    """
    folded = Folded([], 0, [], set())
    waiting: list[tuple[str, Batch]] = []
    for name, batch in _read(area, names, folded.aside):
        waiting.append((name, batch))
        if len(waiting) == TOGETHER:
            folded = _append(waiting, append, folded)
            waiting = []
    return _append(waiting, append, folded)


def _read(area: ArtifactStore, names: Sequence[str], aside: list[Aside]) -> Iterator[tuple[str, Batch]]:
    for name, data in area.read_all(names):
        if data is None:
            continue  # its run was deleted meanwhile, or a listing told of what does not show yet: next time
        try:
            yield name, unpack(name, data)
        except CorruptDataError as error:
            aside.append(Aside(name, error.message.partition(": ")[2]))


def _append(waiting: list[tuple[str, Batch]], append: Callable[[list[str], Batch], None], folded: Folded) -> Folded:
    if not waiting:
        return folded
    events = [event for _, batch in waiting for event in batch.events]
    documents = {digest: text for _, batch in waiting for digest, text in batch.documents.items()}
    names = [name for name, _ in waiting]
    try:
        append(names, Batch(events, documents))
    except EventConflictError as error:
        if len(waiting) == 1:
            folded.aside.append(Aside(names[0], error.message))
            return folded
        for one in waiting:
            folded = _append([one], append, folded)
        return folded
    folded.names.extend(names)
    folded.runs.update(event.run for event in events)
    return folded._replace(events=folded.events + len(events))
