"""May a value of one annotation go where another is asked? In doubt yes: a false refusal is worse than a missed one."""

from __future__ import annotations

import collections
from collections import abc
from typing import Any, Never, NoReturn, Unpack, get_args, get_origin

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

_PROMOTED = {float: (int,), complex: (int, float), bytes: (bytearray, memoryview)}
_ITEMS_OF = {str: (str,), bytes: (int,), bytearray: (int,), range: (int,)}
_COLLECTIONS = frozenset({list, set, frozenset, collections.deque})
_CACHE_SIZE = 10_000
_cache: dict[tuple[int, int], tuple[Any, Any, bool]] = {}
"""By identity, since hashing a generic costs more than the answer; holds the annotations so that ids stay theirs."""


def accepts(wanted: Any, given: Any) -> bool:
    """Whether a value of annotation `given` may go where `wanted` is asked; never raises."""
    if wanted is given:
        return True
    known = _cache.get((id(wanted), id(given)))
    if known is not None:
        return known[2]
    try:
        answer = _fits(wanted, given)
    except Exception:  # noqa: BLE001 - annotations are the user's; one that can't be understood is accepted
        answer = True
    if len(_cache) >= _CACHE_SIZE:
        _cache.clear()
    _cache[id(wanted), id(given)] = (wanted, given, answer)
    return answer


def _fits(wanted: Any, given: Any) -> bool:
    wanted, given = bare(wanted), bare(given)
    if wanted is given or any(end is Any or end is object for end in (wanted, given)) or given in (Never, NoReturn):
        return True
    if members := members_of(given):
        return all(_fits(wanted, member) for member in members)
    if members := members_of(wanted):
        return any(_fits(member, given) for member in members)
    if is_newtype(given):
        return _fits(wanted, given.__supertype__)
    if is_newtype(wanted):
        return False
    if is_literal(given) or is_literal(wanted):
        return _literal_fits(wanted, given)
    wanted_class, given_class = class_of(wanted), class_of(given)
    if wanted_class is None or given_class is None:
        return True
    return _class_fits(wanted_class, given_class) and _arguments_fit(wanted, wanted_class, given, given_class)


def _literal_fits(wanted: Any, given: Any) -> bool:
    if not is_literal(given):  # which of its values it is, is known only when it runs
        return any(_fits(given, type(value)) for value in get_args(wanted))
    values = get_args(given)
    if not is_literal(wanted):
        return all(_fits(wanted, type(value)) for value in values)
    allowed = [(type(value), value) for value in get_args(wanted)]
    return all((type(value), value) in allowed for value in values)


def _class_fits(wanted: type, given: type) -> bool:
    if wanted is given or given in _PROMOTED.get(wanted, ()):
        return True
    if is_typed_dict(wanted):
        return _typed_dict_fits(wanted, given)
    if is_protocol(wanted):
        return _has_members(wanted, given)
    scalar = numpy_kind(given)
    if scalar is not None and wanted in (bool, int, float, complex):
        return scalar is wanted or scalar in _PROMOTED.get(wanted, ())
    return issubclass(given, wanted)


def _typed_dict_fits(wanted: Any, given: Any) -> bool:
    if not is_typed_dict(given):
        return issubclass(given, dict) or given in (abc.Mapping, abc.MutableMapping)
    theirs = given.__annotations__
    return all(key in theirs for key in wanted.__required_keys__)


def _has_members(protocol: type, given: type) -> bool:
    if protocol in given.__mro__ or hasattr(given, "__getattr__"):
        return True
    declared = {name for base in given.__mro__ for name in getattr(base, "__annotations__", {})}
    assigns = hasattr(getattr(given, "__init__", None), "__code__")  # attributes set in it can't be seen from here
    return all(
        hasattr(given, name) or name in declared or (assigns and not method)
        for name, method in protocol_members(protocol).items()
    )


def _arguments_fit(wanted: Any, wanted_class: Any, given: Any, given_class: type) -> bool:
    wanted_args = get_args(wanted)
    if not wanted_args or wanted_class is abc.Callable or is_protocol(wanted_class):
        return True
    if wanted_class is tuple:
        return _tuple_fits(wanted_args, get_args(given))
    if given_class is tuple:
        items = [item for item in get_args(given) if item is not ...]
        return len(wanted_args) != 1 or any(map(_unpacks, items)) or all(_fits(wanted_args[0], item) for item in items)
    given_args = _arguments_as(wanted_class, given, given_class)
    if given_args is None or len(given_args) != len(wanted_args):
        return True
    return all(_fits(ask, have) for ask, have in zip(wanted_args, given_args, strict=True))


def _unpacks(item: Any) -> bool:
    return get_origin(item) is Unpack or getattr(item, "__unpacked__", False)


def _tuple_fits(wanted: tuple[Any, ...], given: tuple[Any, ...]) -> bool:
    if not given or any(map(_unpacks, (*wanted, *given))):
        return True
    if wanted[-1] is ...:
        return all(_fits(wanted[0], item) for item in given if item is not ...)
    if given[-1] is ...:
        return all(_fits(item, given[0]) for item in wanted)
    return len(wanted) == len(given) and all(map(_fits, wanted, given))


def _arguments_as(wanted: type, given: Any, given_class: type) -> tuple[Any, ...] | None:
    """Type arguments that `given` has when seen as `wanted`: `(int,)` of a `list[int]` as Sequence; None: unknown."""
    args = get_args(given)
    if given_class is wanted:
        return args or None
    if given_class in _ITEMS_OF:
        return _ITEMS_OF[given_class]
    if wanted.__module__ == "collections.abc":
        if issubclass(given_class, abc.Mapping) and len(args) == 2:
            return args if issubclass(wanted, abc.Mapping) else args[:1]
        if len(args) == 1 and (given_class in _COLLECTIONS or given_class.__module__ == "collections.abc"):
            return args
    parameters = getattr(given_class, "__parameters__", ())
    filled = dict(zip(parameters, args, strict=False))
    for base in vars(given_class).get("__orig_bases__", given_class.__bases__):
        base_class = class_of(base)
        if base_class is None or base_class is object or not issubclass(base_class, wanted):
            continue
        found = _arguments_as(wanted, base, base_class)
        if found is not None:
            return tuple(filled.get(item, item) if item in parameters else item for item in found)
    return None
