"""Parameters made to fit their annotations: conversions that lose nothing, and those that text from outside needs."""

from __future__ import annotations

from typing import Any

from core.conform import describe, matches
from core.conform.annotations import (
    bare,
    class_of,
    is_dataclass,
    is_literal,
    is_named_tuple,
    is_newtype,
    is_typed_dict,
    members_of,
    numpy_kind,
)
from core.conform.describe import show
from core.errors import ParameterError
from core.values.collect import COLLECTIONS, collection
from core.values.encode import MAX_DEPTH, root_of
from core.values.misfit import Misfit
from core.values.records import record
from core.values.text import from_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def coerce(value: Any, annotation: Any, where: str, *, lenient: bool = False) -> Any:
    """`value` as `annotation` asks it; raises `ParameterError` that begins with `where`."""
    if annotation is None or annotation is Any or annotation is object:
        return value
    path = root_of(where)
    try:
        return Coercion(lenient=lenient).to(annotation, value, path, 0)
    except Misfit as misfit:
        raise ParameterError(
            f"{where}: {misfit.text}", misfit.hint or _hint(annotation, value, lenient=lenient)
        ) from misfit.__cause__
    except RecursionError:
        raise ParameterError(f"{where}: {path} is nested too deep", "pass flatter data") from None


def _hint(annotation: Any, value: Any, *, lenient: bool) -> str:
    if isinstance(value, str) and not lenient:
        return f"pass {describe(annotation)}; text is converted only on the command line and in YAML"
    return f"pass {describe(annotation)}, or change the annotation"


class Coercion:
    """Walks annotation and value side by side; `lenient` lets text stand for other things."""

    def __init__(self, *, lenient: bool) -> None:
        self.lenient = lenient

    def to(self, annotation: Any, value: Any, path: str, depth: int) -> Any:
        """`value` as `annotation`; raises `Misfit` that names `path`, the place of the value."""
        annotation = bare(annotation)
        if annotation is Any or annotation is object:
            return value
        if depth > MAX_DEPTH:
            raise Misfit(f"{path[:80]}... is nested more than {MAX_DEPTH} deep")
        if members := members_of(annotation):
            return self._union(annotation, members, value, path, depth)
        if is_newtype(annotation):
            return self.to(annotation.__supertype__, value, path, depth)
        if is_literal(annotation):
            return self._literal(annotation, value, path)
        kind = class_of(annotation)
        if kind is None or type(annotation) is str:
            return value
        if self.lenient and isinstance(value, str) and kind is not str:
            value = from_text(value, annotation, kind, path)
        return self._class(annotation, kind, value, path, depth)

    def _class(self, annotation: Any, kind: Any, value: Any, path: str, depth: int) -> Any:
        simple = _SIMPLE.get(kind)
        if simple is not None:
            return simple(self, value, path)
        if kind in COLLECTIONS:
            return collection(self, annotation, kind, value, path, depth)
        if is_typed_dict(kind) or (
            (is_dataclass(kind) or is_named_tuple(kind) or _is_model(kind)) and not isinstance(value, kind)
        ):
            return record(self, kind, value, path, depth)
        if hasattr(kind, "__members__"):
            return _enum(kind, value, path, lenient=self.lenient)
        if isinstance(value, str) and kind.__module__.startswith("pathlib"):
            return kind(value)
        wrong = matches(value, annotation)
        if wrong:
            raise misfit(annotation, value, path)
        return value

    def _union(self, annotation: Any, members: tuple[Any, ...], value: Any, path: str, depth: int) -> Any:
        """The first member that the value is already, else the first that it can be made into; text stays text last."""
        text = self.lenient and isinstance(value, str)
        if not text and any(not matches(value, member) for member in members):
            members = tuple(member for member in members if not matches(value, member))
        if text:
            members = tuple(
                sorted(members, key=lambda member: 2 * (bare(member) is str) + (bare(member) is not type(None)))
            )
        found = None
        for member in members:
            try:
                return self.to(member, value, path, depth + 1)
            except Misfit as error:
                found = error
        if found is not None and len(members) == 1:
            raise found
        raise misfit(annotation, value, path) from found

    def _literal(self, annotation: Any, value: Any, path: str) -> Any:
        allowed = annotation.__args__
        for item in allowed:
            if type(item) is type(value) and item == value:
                return item
        for item in allowed:
            if self.lenient and isinstance(value, str) and value in (str(item), getattr(item, "name", None)):
                return item
        raise misfit(annotation, value, path)

    def integer(self, value: Any, path: str) -> Any:
        """An int, which a bool is not."""
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if numpy_kind(type(value)) is int:
            return int(value)
        if self.lenient and isinstance(value, float) and value.is_integer():
            return int(value)
        hint = "pass 1 or 0, or annotate it `bool`" if isinstance(value, bool) else ""
        raise misfit(int, value, path, hint)

    def real(self, value: Any, path: str) -> Any:
        """A float, or a number that becomes one."""
        if isinstance(value, float):
            return value
        if not isinstance(value, bool) and (isinstance(value, int) or numpy_kind(type(value)) in (int, float)):
            try:
                return float(value)
            except OverflowError:
                raise misfit(float, value, path, "the number is too large for a float") from None
        raise misfit(float, value, path)

    def complex_number(self, value: Any, path: str) -> Any:
        """A complex, or a number that becomes one."""
        if isinstance(value, complex):
            return value
        if not isinstance(value, bool) and (
            isinstance(value, int | float) or numpy_kind(type(value)) in (int, float, complex)
        ):
            return complex(value)
        raise misfit(complex, value, path)

    def truth(self, value: Any, path: str) -> Any:
        """A bool and nothing else."""
        if isinstance(value, bool):
            return value
        if numpy_kind(type(value)) is bool:
            return bool(value)
        raise misfit(bool, value, path, "pass True or False")

    def text(self, value: Any, path: str) -> Any:
        """A text and nothing else."""
        if isinstance(value, str):
            return value
        hint = "put it in quotes" if self.lenient and isinstance(value, int | float) else ""
        raise misfit(str, value, path, hint)


_SIMPLE: dict[type, Callable[[Coercion, Any, str], Any]] = {
    int: Coercion.integer,
    float: Coercion.real,
    complex: Coercion.complex_number,
    bool: Coercion.truth,
    str: Coercion.text,
}


def misfit(annotation: Any, value: Any, path: str, hint: str = "") -> Misfit:
    """The error of a value that does not fit."""
    return Misfit(f"{path} is {show(value)}, expected {describe(annotation)}", hint)


def _is_model(kind: type) -> bool:
    """Whether it is a pydantic model; pydantic itself is not imported for it."""
    return hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_validate")


def _enum(kind: Any, value: Any, path: str, *, lenient: bool) -> Any:
    if isinstance(value, kind):
        return value
    members = kind.__members__
    for member in members.values():
        if type(member.value) is type(value) and member.value == value:
            return member
    if isinstance(value, str) and value in members:
        return members[value]
    for member in members.values():
        if lenient and str(member.value) == str(value):
            return member
    raise misfit(kind, value, path, f"one of {', '.join(members)}")
