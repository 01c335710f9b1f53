"""Plain data back to Python values: the inverse of `encode`."""

from __future__ import annotations

from binascii import a2b_base64
from enum import Enum, Flag
from typing import Any, get_args

from core.conform.annotations import bare, is_dataclass, is_named_tuple
from core.errors import CoreError, ParameterError
from core.names import locate, name_of
from core.values.encode import local_classes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DEEPEST = 6


def decode(plain: Any, annotation: Any = None) -> Any:
    """The value of plain data; raises `ParameterError` for a class that is gone and for what `encode` never wrote."""
    try:
        return _Decoder(annotation).decode(plain)
    except CoreError:
        raise
    except Exception as error:
        message = f"the recorded value {str(plain)[:80]} can't be read back: {type(error).__name__}: {error}"
        raise ParameterError(
            message, "its classes or this version of core may have changed; give the value again"
        ) from error


class _Decoder:
    """One call of `decode`, with the annotation in which classes are looked up first."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation

    def decode(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return [self.decode(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        kind = plain.get("$")
        if kind is None:
            return {key: self.decode(item) for key, item in plain.items()}
        value = plain["value"]
        if kind in _READERS:
            return _READERS[kind](self, value)
        if ":" not in kind:
            raise ParameterError(
                f"the recorded value has the unknown kind {kind!r}", "read it with a newer version of core"
            )
        return self._instance(self._class(kind), value)

    def _class(self, name: str) -> Any:
        for kind in _classes_in(self.annotation, 0):
            if name_of(kind) == name:
                return kind
        if name in local_classes:
            return local_classes[name]
        try:
            return locate(name)
        except (ImportError, AttributeError) as error:
            hint = "define it at the top of a module that can be imported, under the name that it had"
            raise ParameterError(f"the recorded value is of class {name!r}, which can't be found", hint) from error

    def _instance(self, kind: Any, value: Any) -> Any:
        if isinstance(kind, type) and issubclass(kind, Enum):
            return kind(value) if issubclass(kind, Flag) else kind[value]
        if is_dataclass(kind):
            return _dataclass(kind, {name: self.decode(item) for name, item in value.items()})
        if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_construct"):
            return _model(kind, {name: self.decode(item) for name, item in value.items()})
        if is_named_tuple(kind):
            return kind._make(self.decode(value[name]) for name in kind._fields)
        raise ParameterError(
            f"the recorded value names {kind!r}, which is no class of plain data", "give the value again"
        )

    def pairs(self, value: list[Any]) -> dict[Any, Any]:
        return {self.decode(key): self.decode(item) for key, item in value}

    def raw_dict(self, value: dict[str, Any]) -> dict[str, Any]:
        return {key: self.decode(item) for key, item in value.items()}


def _classes_in(annotation: Any, depth: int) -> list[type]:
    annotation = bare(annotation) if annotation is not None else None
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    if depth > _DEEPEST:
        return []
    return [kind for arg in get_args(annotation) if arg is not None for kind in _classes_in(arg, depth + 1)]


def _dataclass(kind: Any, values: dict[str, Any]) -> Any:
    """Made by its own constructor; then each field is set as it was, since `__post_init__` ran once already."""
    fields = kind.__dataclass_fields__
    made = kind(**{name: value for name, value in values.items() if name in fields and fields[name].init})
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _model(kind: Any, values: dict[str, Any]) -> Any:
    """A pydantic model as it was; validators do not run a second time."""
    missing = [name for name, field in kind.model_fields.items() if field.is_required() and name not in values]
    if missing:
        hint = "give the value again, or give the field a default"
        raise ParameterError(f"the recorded value of {name_of(kind)!r} lacks its field {missing[0]!r}", hint)
    return kind.model_construct(**values)


def _datetime(_: _Decoder, value: list[Any]) -> Any:
    from datetime import datetime  # start-up time, as in all readers here: only values of these types need it

    found = datetime.fromisoformat(value[0]).replace(fold=value[1])
    if len(value) > 2:
        from zoneinfo import ZoneInfo

        found = found.replace(tzinfo=ZoneInfo(value[2]))
    return found


def _date(_: _Decoder, value: str) -> Any:
    from datetime import date

    return date.fromisoformat(value)


def _time(_: _Decoder, value: list[Any]) -> Any:
    from datetime import time

    return time.fromisoformat(value[0]).replace(fold=value[1])


def _timedelta(_: _Decoder, value: list[int]) -> Any:
    from datetime import timedelta

    return timedelta(*value)


def _uuid(_: _Decoder, value: str) -> Any:
    from uuid import UUID

    return UUID(value)


def _decimal(_: _Decoder, value: str) -> Any:
    from decimal import Decimal

    return Decimal(value)


def _path(name: str) -> Callable[[_Decoder, Any], Any]:
    def read(decoder: _Decoder, value: Any) -> Any:
        import pathlib

        return getattr(pathlib, name)(decoder.decode(value))

    return read


_READERS: dict[str, Callable[[_Decoder, Any], Any]] = {
    "dict": _Decoder.raw_dict,
    "pairs": _Decoder.pairs,
    "tuple": lambda decoder, value: tuple(decoder.decode(item) for item in value),
    "set": lambda decoder, value: {decoder.decode(item) for item in value},
    "frozenset": lambda decoder, value: frozenset(decoder.decode(item) for item in value),
    "str": lambda _, value: bytes.fromhex(value).decode("utf-8", "surrogatepass"),
    "int": lambda _, value: int(value, 16),
    "float": lambda _, value: float(value),
    "complex": lambda decoder, value: complex(*map(decoder.decode, value)),
    "bytes": lambda _, value: a2b_base64(value),
    "datetime": _datetime,
    "date": _date,
    "time": _time,
    "timedelta": _timedelta,
    "UUID": _uuid,
    "Decimal": _decimal,
    "Path": _path("Path"),
    "PurePosixPath": _path("PurePosixPath"),
    "PureWindowsPath": _path("PureWindowsPath"),
}
