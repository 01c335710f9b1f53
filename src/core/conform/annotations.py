"""Taking annotations apart: what all of conform, and the coercion of parameters, ask of one."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    NewType,
    NotRequired,
    Protocol,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

_QUALIFIERS = (Final, ClassVar, Required, NotRequired)


class _Empty(Protocol):
    """What its namespace holds, a Protocol holds on every version of Python without asking for it."""


_NO_MEMBERS = frozenset(vars(_Empty)) | {
    *(
        "__annotations__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__class_getitem__",
        "__slots__",
    ),
    *(
        "__match_args__",
        "__orig_bases__",
        "__static_attributes__",
        "__type_params__",
        "__hash__",
        "_is_runtime_protocol",
    ),
}
_NUMPY_KINDS = {
    "bool": bool,
    "bool_": bool,
    "integer": int,
    "floating": float,
    "complexfloating": complex,
    "str_": str,
    "bytes_": bytes,
}


def bare(annotation: Any) -> Any:
    """The annotation without `Annotated`, `Final`, `Required` and alias names around it; `None` as its type."""
    while type(annotation) is not type:
        origin = get_origin(annotation)
        if annotation is None:
            return NoneType
        if origin is Annotated:
            annotation = annotation.__origin__
        elif origin in _QUALIFIERS:
            annotation = get_args(annotation)[0]
        elif type(annotation).__name__ == "TypeAliasType":  # `type X = ...` of Python 3.12; absent from typing before
            annotation = annotation.__value__
        elif type(origin).__name__ == "TypeAliasType":
            annotation = _filled(origin, get_args(annotation))
        else:
            break
    return annotation


def _filled(alias: Any, args: tuple[Any, ...]) -> Any:
    """What a generic `type X[T] = ...` stands for with these arguments; numpy's NDArray is one from Python 3.12 on."""
    given = dict(zip(alias.__type_params__, args, strict=False))
    asked = getattr(alias.__value__, "__parameters__", ())
    return alias.__value__[tuple(given.get(parameter, Any) for parameter in asked)] if asked else alias.__value__


def members_of(annotation: Any) -> tuple[Any, ...]:
    """What a bare annotation stands for in turn: the members of a union, the constraints or bound of a type variable.

    Empty for every other annotation.
    """
    origin = get_origin(annotation)
    if origin is Union or origin is UnionType:
        return get_args(annotation)
    if isinstance(annotation, TypeVar):
        bound = annotation.__bound__
        return annotation.__constraints__ or ((Any,) if bound is None else (bound,))
    return ()


def class_of(annotation: Any) -> type | None:
    """The class of a bare annotation, `list` for `list[int]`; None when it has none that is known."""
    if isinstance(annotation, type):
        return annotation
    origin = get_origin(annotation)
    return origin if isinstance(origin, type) else None


def is_literal(annotation: Any) -> bool:
    """Whether it is `Literal[...]`."""
    return get_origin(annotation) is Literal


def is_newtype(annotation: Any) -> bool:
    """Whether it was made by `NewType`."""
    return isinstance(annotation, NewType)


def is_typed_dict(annotation: Any) -> bool:
    """Whether it is a TypedDict class."""
    return isinstance(annotation, type) and issubclass(annotation, dict) and hasattr(annotation, "__total__")


def is_named_tuple(annotation: Any) -> bool:
    """Whether it is a NamedTuple class, typed or made by `collections.namedtuple`."""
    return isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields")


def is_dataclass(annotation: Any) -> bool:
    """Whether it is a dataclass; `dataclasses` itself need not be imported for it."""
    return isinstance(annotation, type) and hasattr(annotation, "__dataclass_fields__")


def is_protocol(kind: type) -> bool:
    """Whether the class was declared as a Protocol, and does not only implement one."""
    return bool(getattr(kind, "_is_protocol", False))


def protocol_members(protocol: type) -> dict[str, bool]:
    """Names that a Protocol asks for; True where it is a method, False where it may be an attribute of the instance."""
    found: dict[str, bool] = {}
    for base in protocol.__mro__:
        if not is_protocol(base) or (base.__module__ == "typing" and base.__name__ in {"Protocol", "Generic"}):
            continue
        for name in getattr(base, "__annotations__", {}):
            found.setdefault(name, False)
        for name, member in vars(base).items():
            if name not in _NO_MEMBERS:
                found.setdefault(name, callable(member) or isinstance(member, classmethod | staticmethod))
    return found


def numpy_kind(kind: type) -> type | None:
    """The builtin type that a numpy scalar type stands for, such as int for int64; numpy is not imported for it."""
    if not kind.__module__.startswith("numpy"):
        return None
    return next((_NUMPY_KINDS[base.__name__] for base in kind.__mro__ if base.__name__ in _NUMPY_KINDS), None)
