"""Coercion of containers, item by item."""

from __future__ import annotations

from collections import abc
from typing import Any, get_args

from core.conform import describe
from core.conform.describe import brief, show
from core.values.misfit import Misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.values.coerce import Coercion

_MAPPINGS = frozenset({dict, abc.Mapping, abc.MutableMapping})
_SETS: dict[Any, type] = {set: set, abc.Set: set, abc.MutableSet: set, frozenset: frozenset}
_LISTS = frozenset({list, abc.MutableSequence})
_EITHER = frozenset({abc.Sequence, abc.Collection, abc.Iterable, abc.Container, abc.Reversible, abc.Sized})
COLLECTIONS = frozenset({*_MAPPINGS, *_SETS, *_LISTS, *_EITHER, tuple})
"""Classes whose items are coerced."""
_GIVEN = (list, tuple, set, frozenset)


def collection(coercion: Coercion, annotation: Any, kind: Any, value: Any, path: str, depth: int) -> Any:
    """`value` as the container `kind`, its items as the arguments of `annotation`; raises `Misfit`."""
    args = get_args(annotation)
    if kind in _MAPPINGS or (kind in _EITHER and isinstance(value, dict)):
        return _mapping(coercion, annotation, args, value, path, depth)
    if kind in _EITHER and isinstance(value, str | bytes | range):
        return value
    if not isinstance(value, _GIVEN):
        raise Misfit(f"{path} is {show(value)}, expected {describe(annotation)}")
    items = list(value)
    if isinstance(value, set | frozenset) and kind not in _SETS and kind not in _EITHER:
        items = _ordered(items)
    asked = _asked(annotation, kind, args, items, path)
    if asked is not None:
        items = [
            coercion.to(ask, item, f"{path}[{index}]", depth + 1)
            for index, (ask, item) in enumerate(zip(asked, items, strict=True))
        ]
    if kind in _SETS:
        return _as_set(_SETS[kind], items, path)
    if kind is tuple:
        return value if type(value) is not tuple and isinstance(value, tuple) and asked is None else tuple(items)
    if kind in _LISTS:
        return items
    return type(value)(items) if type(value) in _GIVEN else value


def _asked(annotation: Any, kind: Any, args: tuple[Any, ...], items: list[Any], path: str) -> list[Any] | None:
    """The annotation of each item; None when they may be anything."""
    if not args:
        return None
    if kind is not tuple or args[-1] is ...:
        return [args[0]] * len(items)
    if len(args) != len(items):
        raise Misfit(f"{path} has {len(items)} items, expected {len(args)}: {describe(annotation)}")
    return list(args)


def _ordered(items: list[Any]) -> list[Any]:
    """Items of a set in an order that no hash seed changes."""
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: (type(item).__name__, repr(item)))


def _as_set(kind: type, items: list[Any], path: str) -> Any:
    try:
        return kind(items)
    except TypeError as error:
        raise Misfit(
            f"{path} can't be a {kind.__name__}: {error}", "pass items that are hashable, such as tuples"
        ) from error


def _mapping(coercion: Coercion, annotation: Any, args: tuple[Any, ...], value: Any, path: str, depth: int) -> Any:
    if not isinstance(value, dict):
        raise Misfit(f"{path} is {show(value)}, expected {describe(annotation)}")
    if len(args) != 2:
        return value
    found = {}
    for key, item in value.items():
        shown = brief(key)
        plain_key = coercion.to(args[0], key, f"{path} key {shown}", depth + 1)
        found[plain_key] = coercion.to(args[1], item, f"{path}[{shown}]", depth + 1)
    return found
