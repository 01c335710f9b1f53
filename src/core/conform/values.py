"""Is a value what an annotation says? Looks into containers as far as their first items; in doubt yes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable as CallableABC
from itertools import islice
from typing import Any, ForwardRef, get_args

from core.conform.annotations import (
    bare,
    class_of,
    is_literal,
    is_newtype,
    is_protocol,
    is_typed_dict,
    members_of,
    numpy_kind,
    protocol_members,
)
from core.conform.describe import brief, describe, show
from core.model.value import Value

_FIRST = 100
_DEEPEST = 20
_NUMBERS = {float: (int, float), complex: (int, float, complex)}
_CONTAINERS = (list, tuple, set, frozenset, deque)


class _Wrong(Value):
    """The place inside the value that does not fit."""

    path: str
    annotation: Any
    value: Any


def matches(value: Any, annotation: Any) -> str:
    """Empty when `value` is what `annotation` says, else one sentence of what is wrong.

    The first 100 items of each container are looked at. An int is fine where a float is asked, and numpy's scalars
    where Python's are. Never raises, imports no library, consumes no iterator.
    """
    if type(value) is annotation:
        return ""
    try:
        wrong = _find(value, annotation, 0)
    except Exception:  # noqa: BLE001 - annotations and values are the user's; what can't be understood is accepted
        return ""
    if wrong is None:
        return ""
    if not wrong.path:
        return f"expected {describe(annotation)}, got {show(value)}"
    inner = f"item {wrong.path} is {show(wrong.value)}, not {describe(wrong.annotation)}"
    return f"expected {describe(annotation)}, but {inner}"


def _find(value: Any, annotation: Any, depth: int) -> _Wrong | None:
    annotation = bare(annotation)
    if type(value) is annotation or annotation is Any or annotation is object or depth > _DEEPEST:
        return None
    if members := members_of(annotation):
        return _find_in_union(value, annotation, members, depth)
    if is_newtype(annotation):
        return _find(value, annotation.__supertype__, depth)
    if is_literal(annotation):
        fits = any(type(value) is type(item) and value == item for item in get_args(annotation))
        return None if fits else _Wrong("", annotation, value)
    kind = class_of(annotation)
    if kind is None or isinstance(annotation, str | ForwardRef):
        return None
    if is_typed_dict(kind):
        return _find_in_typed_dict(value, kind, depth)
    if not _is_instance(value, kind):
        return _Wrong("", annotation, value)
    args = get_args(annotation)
    return _find_in_items(value, annotation, kind, args, depth) if args else None


def _find_in_union(value: Any, annotation: Any, members: tuple[Any, ...], depth: int) -> _Wrong | None:
    deeper = None
    for member in members:
        wrong = _find(value, member, depth + 1)
        if wrong is None:
            return None
        if wrong.path:
            deeper = wrong
    return deeper or _Wrong("", annotation, value)


def _is_instance(value: Any, kind: Any) -> bool:
    if kind is CallableABC:
        return callable(value)
    if is_protocol(kind):
        return kind in type(value).__mro__ or all(hasattr(value, name) for name in protocol_members(kind))
    if isinstance(value, _NUMBERS.get(kind, kind)):
        return True
    scalar = numpy_kind(type(value))
    return scalar is not None and (scalar is kind or scalar in _NUMBERS.get(kind, ()))


def _find_in_typed_dict(value: Any, kind: Any, depth: int) -> _Wrong | None:
    if not isinstance(value, dict) or not kind.__required_keys__ <= value.keys():
        return _Wrong("", kind, value)
    pairs = ((key, value[key], asked) for key, asked in kind.__annotations__.items() if key in value)
    return next(_wrong_items(islice(pairs, _FIRST), depth), None)


def _find_in_items(value: Any, annotation: Any, kind: type, args: tuple[Any, ...], depth: int) -> _Wrong | None:
    if kind is type:
        fits = members_of(bare(args[0])) or not isinstance(args[0], type) or issubclass(value, args[0])
        return None if fits else _Wrong("", annotation, value)
    if isinstance(value, dict):
        if len(args) != 2:
            return None
        for key in islice(value, _FIRST):
            if _find(key, args[0], depth + 1):
                return _Wrong(f"key {brief(key)}", args[0], key)
        triples = ((key, item, args[1]) for key, item in islice(value.items(), _FIRST))
    elif kind is tuple and args[-1] is not ...:
        if len(args) != len(value):
            return _Wrong("", annotation, value)
        triples = ((index, item, asked) for index, (item, asked) in enumerate(zip(value, args, strict=True)))
    elif isinstance(value, _CONTAINERS):
        triples = ((index, item, args[0]) for index, item in enumerate(islice(value, _FIRST)))
    else:
        return _find_in_array(value, annotation, args)
    return next(_wrong_items(triples, depth), None)


def _wrong_items(triples: Any, depth: int) -> Any:
    """Each item that is wrong, of `(index or key, item, annotation)`, with its place."""
    for key, item, asked in triples:
        if type(item) is not asked:
            wrong = _find(item, asked, depth + 1)
            if wrong is not None:
                yield wrong._replace(path=f"[{brief(key)}]{wrong.path}")


def _find_in_array(value: Any, annotation: Any, args: tuple[Any, ...]) -> _Wrong | None:
    """`NDArray[float64]` and its like: the element type of the array."""
    dtype = getattr(value, "dtype", None)
    asked = get_args(args[-1])
    if type(value).__name__ != "ndarray" or dtype is None or len(asked) != 1:
        return None
    members = [item for item in members_of(bare(asked[0])) or asked if isinstance(item, type)]
    if not members or any(issubclass(dtype.type, item) for item in members):
        return None
    if any(_same_layout(dtype, item) for item in members):
        return None
    return _Wrong("", annotation, value)


def _same_layout(dtype: Any, kind: Any) -> bool:
    """Whether numpy holds both alike: `longlong` and `int64` are two classes for the same eight bytes."""
    if kind.__subclasses__():  # an abstract kind, such as `floating`
        return False
    make = next(base for base in type(dtype).__mro__ if base.__name__ == "dtype")
    other = make(kind)
    return bool((dtype.kind, dtype.itemsize) == (other.kind, other.itemsize))
