"""The items of an output that a later step is mapped over, each an artifact of its own."""

from __future__ import annotations

from collections import abc
from functools import partial

from core.artifacts import save, sender
from core.conform import describe
from core.errors import OutputError
from core.model.spec import MAX_ITEMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from core.model.artifact import ArtifactRef
    from core.ports.artifact_store import ArtifactStore
    from core.ports.materializer import Materializers

_TEXT = (str, bytes, bytearray, memoryview)


def save_items(
    value: Any, depth: int, what: str, store: ArtifactStore, materializers: Materializers, limit: int
) -> dict[str, ArtifactRef]:
    """Store the items of `value`, and `depth` lists deep the items of those: by place, such as `[0]` or `[0][1]`.

    `what` names the output in errors. Raises `OutputError` for what is no list, for too many, and as `save` does.
    """
    sending = sender(store)
    if sending is None:
        return _saved(value, depth, what, partial(save, store=store, materializers=materializers, limit=limit))
    keep = partial(save, store=store, materializers=materializers, limit=limit, sending=sending)
    try:
        found = _saved(value, depth, what, keep)
        sending.done()
    finally:
        sending.close()
    return found


def _saved(value: Any, depth: int, what: str, keep: Callable[[Any], ArtifactRef]) -> dict[str, ArtifactRef]:
    found: dict[str, ArtifactRef] = {}
    for place, item in _places(value, depth, "", what):
        if len(found) == MAX_ITEMS:
            raise OutputError(
                f"{what} has more than {MAX_ITEMS} items, but a later step is mapped over each",
                "return fewer, larger items, such as one for each batch",
            )
        try:
            found[place] = keep(item)
        except OutputError as error:
            raise OutputError(f"item {place} of {what}: {error.message}", error.hint) from error
    return found


def _places(value: Any, depth: int, place: str, what: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, abc.Sequence) or isinstance(value, _TEXT):
        item = f"item {place} of {what}" if place else what
        raise OutputError(
            f"{item} is {describe(type(value))}, but a later step is mapped over it: that takes a list",
            "return a list, such as `list(x)` or `sorted(x)`",
        )
    for index, item in enumerate(value):
        here = f"{place}[{index}]"
        yield here, item
        if depth > 1:
            yield from _places(item, depth - 1, here, what)
