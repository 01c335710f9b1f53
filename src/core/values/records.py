"""Coercion of dicts to the classes with named fields: dataclass, pydantic model, NamedTuple, TypedDict."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from core.conform import describe
from core.conform.annotations import is_dataclass, is_named_tuple, is_typed_dict
from core.conform.describe import brief, show
from core.text import closest
from core.values.misfit import Misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.values.coerce import Coercion


def record(coercion: Coercion, kind: Any, value: Any, path: str, depth: int) -> Any:
    """An instance of `kind` made from a dict (a NamedTuple from a list or tuple, too); raises `Misfit`."""
    if is_named_tuple(kind) and isinstance(value, list | tuple) and len(value) <= len(kind._fields):
        value = dict(zip(kind._fields, value, strict=False))
    if not isinstance(value, dict):
        raise Misfit(
            f"{path} is {show(value)}, expected {describe(kind)}", f"pass {describe(kind)}(...) or a dict of its fields"
        )
    if not is_typed_dict(kind) and hasattr(kind, "model_validate"):
        return _model(kind, value, path)
    allowed, required = _fields(kind)
    for name in value:
        if name not in allowed:
            raise Misfit(
                f"{path}[{brief(name)}] is no field of {describe(kind)}", f"its fields are {', '.join(allowed)}"
            )
    for name in required:
        if name not in value:
            raise Misfit(f"{path} lacks {name!r}, which {describe(kind)} needs", f"its fields are {', '.join(allowed)}")
    hints = _hints(kind)
    fields = {
        name: coercion.to(hints.get(name, Any), item, f"{path}.{name}", depth + 1) for name, item in value.items()
    }
    if is_typed_dict(kind):
        return fields
    try:
        return kind(**fields)
    except Exception as error:
        raise Misfit(f"{path}: {describe(kind)} refuses it: {type(error).__name__}: {error}") from error


def _fields(kind: Any) -> tuple[list[str], list[str]]:
    """Names of the fields that a dict may have, and of those that it must have."""
    if is_typed_dict(kind):
        return list(kind.__annotations__), sorted(kind.__required_keys__)
    if is_named_tuple(kind):
        return list(kind._fields), [name for name in kind._fields if name not in kind._field_defaults]
    from dataclasses import MISSING  # start-up time: the class is a dataclass, so the user's code imported it

    fields = [
        field
        for field in kind.__dataclass_fields__.values()
        if field.init and field._field_type.name != "_FIELD_CLASSVAR"
    ]
    needed = [field.name for field in fields if field.default is MISSING and field.default_factory is MISSING]
    return [field.name for field in fields], needed


def _hints(kind: Any) -> dict[str, Any]:
    """Runtime types of the fields; none when they can't be resolved, and then fields are taken as they are."""
    try:
        hints = get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - any error of the user's own annotations
        return {}
    if is_dataclass(kind):  # an InitVar carries its type inside
        return {
            name: getattr(hint, "type", hint) if type(hint).__name__ == "InitVar" else hint
            for name, hint in hints.items()
        }
    return hints


def _model(kind: Any, value: dict[str, Any], path: str) -> Any:
    """A pydantic model validates for itself; its first complaint is told, and a key that it would pass over."""
    _refuse_unknown(kind, value, path)
    try:
        return kind.model_validate(value)
    except ValueError as error:
        first = next(iter(error.errors())) if hasattr(error, "errors") else {"loc": (), "msg": str(error)}
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        name = describe(kind)
        raise Misfit(f"{path}{place} does not fit {name}: {first['msg']}", f"give what {name} accepts") from None


def _refuse_unknown(kind: Any, value: dict[str, Any], path: str) -> None:
    """A slip in the name of a field must not give the default: refused, as for a dataclass.

    A model that says itself what is to become of other keys, or rewrites what it is given, is left alone.
    """
    validators = kind.__pydantic_decorators__.model_validators.values()
    if "extra" in kind.model_config or any(each.info.mode != "after" for each in validators):
        return
    if getattr(kind, "__pydantic_root_model__", False):
        return
    by_name = kind.model_config.get("populate_by_name") or kind.model_config.get("validate_by_name")
    names = {
        name: field
        for key, field in kind.model_fields.items()
        for name in ([key] if by_name or field.validation_alias is None else []) + _aliases(field)
    }
    for key, item in value.items():
        if key not in names:
            raise Misfit(
                f"{path}[{brief(key)}] is no field of {describe(kind)}{closest(str(key), names)}",
                f'its fields are {", ".join(names)}; model_config = {{"extra": "ignore"}} lets others pass',
            )
        inner = [each for each in _choices(names[key].annotation) if hasattr(each, "__pydantic_decorators__")]
        if isinstance(item, dict) and len(inner) == 1:
            _refuse_unknown(inner[0], item, f"{path}.{key}")


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The types of a union; any other type alone."""
    return get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)


def _aliases(field: Any) -> list[str]:
    """Keys other than its name under which a field comes."""
    choices = getattr(field.validation_alias, "choices", [field.validation_alias])
    firsts = [each.path[0] if hasattr(each, "path") else each for each in choices]
    return [each for each in firsts if isinstance(each, str)]
