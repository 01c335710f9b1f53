"""The two ways between a parameter's value and plain data, and the short cut that most values take."""

from __future__ import annotations

from typing import Any

_INFINITY = float("inf")
_HUGE = 1 << 64
_SCALARS = frozenset({int, str, float, bool, type(None)})


def to_plain(value: Any, annotation: Any, where: str, *, lenient: bool = False) -> Any:
    """`value` as data that JSON can hold, after coercion to `annotation` (None: whatever it is).

    Coerced are int to float, list, tuple and set to one another, text to Path and Enum, dict to dataclass, pydantic
    model, NamedTuple and TypedDict. `lenient` also reads text, as the command line and YAML give it, as what is asked.
    Subclasses of dict become dict, numpy's scalars Python's. Raises `ParameterError` that begins with `where`, such as
    `parameter 'gamma' of step 'train'`, and names the place inside the value.
    """
    kind = type(value)
    if kind is annotation or ((annotation is None or annotation is Any) and kind in _SCALARS):
        if kind is str:
            if value.isascii():
                return value
        elif kind is int:
            if -_HUGE < value < _HUGE:
                return value
        elif kind is float:
            if -_INFINITY < value < _INFINITY:
                return value
        elif kind is bool or value is None:
            return value
    from core.values.coerce import coerce  # start-up time: most parameters never come here
    from core.values.encode import encode

    return encode(coerce(value, annotation, where, lenient=lenient), where)


def from_plain(plain: Any, annotation: Any = None) -> Any:
    """The value that `to_plain` wrote as `plain`, made anew at each call.

    `annotation` gives classes that can't be imported by name, such as one defined inside a function. Raises
    `ParameterError` when a class of the value is gone or no longer has its fields.
    """
    if type(plain) in _SCALARS:
        return float(plain) if annotation is float and type(plain) is int else plain
    from core.values.decode import decode  # start-up time: most parameters never come here

    return decode(plain, annotation)
