"""Python values to plain data.

What JSON has is kept as it is; the rest is `{"$": kind, "value": ...}`, where kind is a word of `BY_TYPE` or
`module:qualname` of a class. A dict of the user's that has a key "$" is wrapped itself, so that the two never mix.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from enum import Enum, Flag

from core.conform.annotations import is_dataclass, is_named_tuple, numpy_kind
from core.conform.describe import brief, describe
from core.errors import ParameterError
from core.names import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_DEPTH = 100
"""Deepest nesting: what reads plain data later, JSON included, recurses too."""
_HUGE_BITS = 10_000
_INFINITY = float("inf")
_PLAIN = (
    "make it a step's output and pass that, or pass plain data: numbers, text, lists, dicts, enums, paths, dataclasses"
)
local_classes: dict[str, type] = {}
"""Classes defined inside functions that were met while encoding: no import finds them, this process still can."""


def encode(value: Any, where: str) -> Any:
    """Plain data of `value`; raises `ParameterError` that begins with `where`."""
    try:
        return _Encoder(where).encode(value, root_of(where), 0)
    except RecursionError:
        message = f"{where}: {root_of(where)} is nested too deep for what is left of the stack"
        raise ParameterError(message, _PLAIN) from None


def root_of(where: str) -> str:
    """What paths into the value begin with: the first name in quotes."""
    parts = where.split("'", 2)
    return parts[1] if len(parts) > 2 else "value"


def tagged(kind: str, value: Any) -> dict[str, Any]:
    """Plain data of something that JSON lacks."""
    return {"$": kind, "value": value}


class _Encoder:
    """One call of `encode`: knows what it is inside of."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._inside: set[int] = set()

    def encode(self, value: Any, path: str, depth: int) -> Any:
        scalar = _SCALARS.get(type(value))
        if scalar is not None:
            return scalar(value)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, Enum):
            return self._enum(value)
        if depth > MAX_DEPTH:
            raise ParameterError(f"{self.where}: {path[:80]}... is nested more than {MAX_DEPTH} deep", _PLAIN)
        if id(value) in self._inside:
            raise ParameterError(f"{self.where}: {path} contains itself", "pass data without cycles")
        self._inside.add(id(value))
        plain = self._inner(value, path, depth + 1)
        self._inside.discard(id(value))
        return plain

    def _inner(self, value: Any, path: str, depth: int) -> Any:
        kind: Any = type(value)
        if kind is list:
            return self._items(value, path, depth)
        if isinstance(value, dict):
            return self._dict(value, path, depth)
        if kind is tuple:
            return tagged("tuple", self._items(value, path, depth))
        if kind is set or kind is frozenset:
            items = [self.encode(item, f"{path}{{{index}}}", depth) for index, item in enumerate(value)]
            return tagged(kind.__name__, sorted(items, key=canonical))
        self._refuse_lost_arguments(kind, path)
        fields = _fields_of(kind, value)
        if fields is not None:
            inner = {name: self.encode(item, f"{path}.{name}", depth) for name, item in fields.items()}
            return tagged(class_name(kind), inner)
        encoder = BY_TYPE.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
        if encoder is not None:
            return encoder(value)
        for base in (bool, int, float, str):  # numpy's scalars, and subclasses that only the user's code knows
            if isinstance(value, base) or numpy_kind(kind) is base:
                return self.encode(base(value), path, depth)
        raise ParameterError(f"{self.where}: {path} is {_article(kind)}, which can't be written as plain data", _PLAIN)

    def _refuse_lost_arguments(self, kind: Any, path: str) -> None:
        for name, field in getattr(kind, "__dataclass_fields__", {}).items():
            if field._field_type.name == "_FIELD_INITVAR" and not hasattr(kind, name):
                message = f"{self.where}: {path} is {_article(kind)}, whose InitVar {name!r} is lost once it is made"
                raise ParameterError(message, f"give {name!r} a default, or make it a field")

    def _items(self, value: Any, path: str, depth: int) -> list[Any]:
        return [self.encode(item, f"{path}[{index}]", depth) for index, item in enumerate(value)]

    def _dict(self, value: dict[Any, Any], path: str, depth: int) -> Any:
        if all(type(key) is str and _str(key) is key for key in value):
            plain = {key: self.encode(item, f"{path}[{brief(key)}]", depth) for key, item in value.items()}
            return tagged("dict", plain) if "$" in plain else plain
        pairs = [
            [self.encode(key, f"{path} key {brief(key)}", depth), self.encode(item, f"{path}[{brief(key)}]", depth)]
            for key, item in value.items()
        ]
        return tagged("pairs", sorted(pairs, key=lambda pair: canonical(pair[0])))

    def _enum(self, value: Enum) -> Any:
        return tagged(class_name(type(value)), value.value if isinstance(value, Flag) else value.name)


def canonical(plain: Any) -> str:
    """Text by which plain data is put in an order that no hash seed changes."""
    return json.dumps(plain, sort_keys=True)


def class_name(kind: type) -> str:
    """`module:qualname`; a class that can't be imported is remembered for `decode`."""
    name = name_of(kind)
    if "<locals>" in name:
        local_classes[name] = kind
    return name


def _fields_of(kind: Any, value: Any) -> dict[str, Any] | None:
    """Values of the fields of a dataclass, pydantic model or NamedTuple; None for anything else."""
    if is_dataclass(kind):
        return {
            name: getattr(value, name)
            for name, field in kind.__dataclass_fields__.items()
            if field._field_type.name == "_FIELD"
        }
    if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_fields"):
        return {name: getattr(value, name) for name in kind.model_fields} | (value.model_extra or {})
    if is_named_tuple(kind):
        return dict(zip(kind._fields, value, strict=True))
    return None


def _article(kind: type) -> str:
    name = describe(kind)
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def _str(value: str) -> Any:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, as file names of other encodings have: UTF-8 can't hold it
        return tagged("str", value.encode("utf-8", "surrogatepass").hex())
    return value


def _int(value: int) -> Any:
    return value if value.bit_length() < _HUGE_BITS else tagged("int", hex(value))  # Python refuses its decimal digits


def _float(value: float) -> Any:
    return value if -_INFINITY < value < _INFINITY else tagged("float", repr(value))


def _complex(value: complex) -> Any:
    return tagged("complex", [_float(value.real), _float(value.imag)])


def _bytes(value: bytes) -> Any:
    return tagged("bytes", b2a_base64(value, newline=False).decode("ascii"))


def _datetime(value: Any) -> Any:
    zone = getattr(value.tzinfo, "key", None)
    if zone is None:
        return tagged("datetime", [value.isoformat(), value.fold])
    return tagged("datetime", [value.replace(tzinfo=None).isoformat(), value.fold, zone])


def _path(value: Any) -> Any:
    pure = type(value).__name__.startswith("Pure")
    return tagged(type(value).__name__ if pure else "Path", _str(str(value)))


_SCALARS: dict[type, Callable[[Any], Any]] = {str: _str, int: _int, float: _float, complex: _complex, bytes: _bytes}

BY_TYPE: dict[str, Callable[[Any], Any]] = {
    "datetime.datetime": _datetime,
    "datetime.date": lambda value: tagged("date", value.isoformat()),
    "datetime.time": lambda value: tagged("time", [value.isoformat(), value.fold]),
    "datetime.timedelta": lambda value: tagged("timedelta", [value.days, value.seconds, value.microseconds]),
    "uuid.UUID": lambda value: tagged("UUID", str(value)),
    "decimal.Decimal": lambda value: tagged("Decimal", str(value)),
    "_decimal.Decimal": lambda value: tagged("Decimal", str(value)),
    "pathlib.PosixPath": _path,
    "pathlib.WindowsPath": _path,
    "pathlib.PurePosixPath": _path,
    "pathlib.PureWindowsPath": _path,
}
"""By top module and name of the type, so that none of these modules is imported before a value of it appears."""
