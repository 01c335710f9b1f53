"""Instances of people's own classes as fields, and back: enums, named tuples, dataclasses, pydantic models."""

from __future__ import annotations

from core.errors import CorruptDataError, NotFoundError
from core.names import locate, main_module, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PYDANTIC = ("__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")


def form(value: Any) -> tuple[str, str, Any] | None:
    """Kind, name of the class, and fields; None for what only a pickle can hold."""
    kind = type(value)
    what = _KINDS[kind] if kind in _KINDS else _KINDS.setdefault(kind, _kind_of(kind))
    if what is None:
        return None
    name = name_of(kind)
    if what == "enum":
        return what, name, value.name if value.name in kind.__members__ else [value.value]
    if what == "namedtuple":
        return None if getattr(value, "__dict__", None) else (what, name, list(value))
    if what == "pydantic":
        return what, name, {"fields": value.__dict__, "rest": [getattr(value, slot) for slot in _PYDANTIC]}
    fields = kind.__dataclass_fields__
    if any(key not in fields for key in getattr(value, "__dict__", ())):
        return None  # attributes beside the fields would be lost
    return what, name, {key: getattr(value, key) for key in fields if hasattr(value, key)}


_KINDS: dict[type, str | None] = {}


def _kind_of(kind: type) -> str | None:
    """What `build` can make again: a class that is found by its name and keeps all it has in its fields."""
    name = name_of(kind)
    if "<locals>" in name or name.startswith("__main__:"):
        return None
    try:
        if locate(name) is not kind:
            return None
    except (ImportError, AttributeError):
        return None
    bases = {f"{base.__module__}:{base.__qualname__}" for base in kind.__mro__}
    if "enum:Enum" in bases:
        return "enum"
    if "pydantic.main:BaseModel" in bases:
        return "pydantic"
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return "namedtuple"
    plain = kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__
    own = getattr(kind, "__setstate__", None)
    generated = own is None or own.__name__ == "_dataclass_setstate"
    simple = kind.__basicsize__ and not issubclass(
        kind, list | tuple | dict | set | frozenset | str | bytes | int | float | complex
    )
    return "dataclass" if hasattr(kind, "__dataclass_fields__") and plain and generated and simple else None


def build(kind: str, name: Any, data: Any) -> Any:
    """The value that `form` took apart; constructors and validators are not called again."""
    try:
        cls = locate(name)
    except (ImportError, AttributeError) as error:
        raise NotFoundError(f"class {name!r} of a stored value can't be found: {error}", mend(error)) from error
    if not isinstance(cls, type) or _kind_of(cls) != kind:
        raise CorruptDataError(
            f"{name!r} was a {kind} when a value of it was stored, and is none now",
            "run its step again with --no-cache STEP",
        )
    if kind == "enum":
        return cls[data] if isinstance(data, str) else cls(*data)  # type: ignore[index]
    if kind == "namedtuple":
        return tuple.__new__(cls, data)
    made: Any = object.__new__(cls)
    if kind == "pydantic":
        object.__setattr__(made, "__dict__", data["fields"])
        for slot, item in zip(_PYDANTIC, data["rest"], strict=True):
            object.__setattr__(made, slot, item)
        return made
    return _fill(made, cls, data)


def mend(error: Exception) -> str:
    """What to do where something that a value is made of can't be imported."""
    if "'__main__'" in str(error):
        return f"this program goes by the same module name, {main_module()!r}: rename one of the two files"
    return (
        "run from the project's folder, or add it to PYTHONPATH; a class that was renamed: "
        "run its step again with --no-cache STEP"
    )


def _fill(made: Any, cls: Any, data: dict[str, Any]) -> Any:
    """Set a dataclass's fields; a field that it got since then takes its default."""
    gone = [key for key in data if key not in cls.__dataclass_fields__]
    if gone:
        raise NotFoundError(
            f"{name_of(cls)!r} has no field {gone[0]!r} any more",
            "run the step that made the value again with --no-cache STEP",
        )
    for key, item in data.items():
        object.__setattr__(made, key, item)
    for key, field in cls.__dataclass_fields__.items():
        if key not in data and callable(field.default_factory):
            object.__setattr__(made, key, field.default_factory())
    return made
