"""What lies in a list of some annotation, and whether an annotation asks for None."""

from __future__ import annotations

from collections import abc
from types import NoneType
from typing import Any, Union, get_args

from core.conform.annotations import bare, class_of, is_literal, is_named_tuple, is_newtype, members_of
from core.conform.edges import _arguments_as

_ABSTRACT = (abc.Iterable, abc.Collection, abc.Reversible)
_NO_LISTS = (str, bytes, bytearray, memoryview)


def items_of(annotation: Any) -> Any:
    """Annotation of the items of a list, tuple or other sequence; `Any` where it does not tell; None when it is none.

    Text is none, nor are sets (they have no order), dicts, iterators, NamedTuples, and arrays and tables of libraries.
    """
    kind = bare(annotation)
    if kind is Any or kind is object:
        return Any
    if members := members_of(kind):
        return _one_of([items_of(member) for member in members])
    if is_newtype(kind):
        return items_of(kind.__supertype__)
    if is_literal(kind) or is_named_tuple(kind):
        return None
    cls = class_of(kind)
    if cls is None:
        return Any
    if cls is tuple:
        args = [item for item in get_args(kind) if item is not ...]
        return _one_of(args) if args else Any
    if issubclass(cls, _NO_LISTS) or not (issubclass(cls, abc.Sequence) or cls in _ABSTRACT):
        return None
    found = _arguments_as(abc.Iterable, kind, cls)
    return found[0] if found else Any


def _one_of(annotations: list[Any]) -> Any:
    return None if any(item is None for item in annotations) else Union[tuple(annotations)]  # noqa: UP007 - of a list that is made here


def asks_for_none(annotation: Any) -> bool:
    """Whether None stands in the annotation in so many words, as in `str | None`; `Any` does not ask for it."""
    kind = bare(annotation)
    return kind is NoneType or any(map(asks_for_none, members_of(kind)))
