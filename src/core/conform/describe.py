"""Annotations and values in words, short enough for an error's line."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_LONGEST = 200
_DEEPEST = 8


def describe(annotation: Any) -> str:
    """Short readable form of an annotation: `DataFrame`, `list[int]`, `int | None`."""
    try:
        text = _words(annotation, 0)
    except Exception:  # noqa: BLE001 - a class of the user may raise in its repr; an error message must not
        text = type(annotation).__name__
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _words(annotation: Any, depth: int) -> str:
    if annotation is None or annotation is NoneType:
        return "None"
    if annotation is ... or depth > _DEEPEST:
        return "..."
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, type):
        return annotation.__qualname__.rpartition("<locals>.")[2]
    if isinstance(annotation, list | tuple):
        return f"[{_listed(annotation, depth)}]"
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is None:
        name = getattr(annotation, "__forward_arg__", None) or getattr(annotation, "__name__", None)
        return str(name or annotation).removeprefix("typing.")
    if origin is Annotated:
        return _words(args[0], depth)
    if origin is Union or origin is UnionType:
        return " | ".join(_words(arg, depth + 1) for arg in args)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    return _generic(origin, args, depth)


def _generic(origin: Any, args: tuple[Any, ...], depth: int) -> str:
    name = _words(origin, depth)
    if name == "ndarray" and len(args) == 2:
        return f"NDArray[{', '.join(_words(arg, depth + 2) for arg in get_args(args[1])) or 'Any'}]"
    return f"{name}[{_listed(args, depth)}]" if args else name


def _listed(annotations: list[Any] | tuple[Any, ...], depth: int) -> str:
    return ", ".join(_words(annotation, depth + 1) for annotation in annotations)


def show(value: object, longest: int = 60) -> str:
    """A value with its type, such as `str 'abc'`, cut to one short line; never raises."""
    kind = describe(type(value))
    text = "" if value is None else brief(value, longest)
    return f"{kind} {text}" if text else kind


def brief(value: object, longest: int = 40) -> str:
    """The value's repr, cut to one short line; empty when it has none that can be printed; never raises."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a value's own repr may fail; the message must not
        return ""
    text = text if len(text) <= longest else text[: longest - 3] + "..."
    return text if text.isprintable() else ""
