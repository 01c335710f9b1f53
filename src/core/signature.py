"""What a function declares: inputs with their runtime types, and the outputs that its return annotation names."""

from __future__ import annotations

import builtins
import os
from types import FunctionType
from typing import Annotated, Any, Never, NoReturn, TypeVar, Unpack, get_args, get_origin, get_type_hints

from core.conform.annotations import bare, is_dataclass, is_named_tuple
from core.conform.describe import describe
from core.errors import DefinitionError
from core.model.spec import MISSING, InputSpec, OutputSpec, Signature
from core.model.value import Value
from core.names import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_VARARGS, _VARKEYWORDS, _GENERATOR, _ASYNC_GENERATOR = 0x04, 0x08, 0x20, 0x200
"""Flags of a code object, as `inspect` names them; `inspect` itself is not imported: start-up time."""
_MAX_OUTPUT = 100
_CACHE_SIZE = 10_000
_signatures: dict[Any, Signature] = {}
_TYPES = "annotate with a class, or with a type such as `list[int]`"
_RETURN = "write what it returns, such as `-> float`; `-> None` says that it returns nothing, `-> Any` anything"


def read_signature(function: Callable[..., Any]) -> Signature:
    """Inputs and outputs of a step function; every parameter and the return value must be annotated.

    An `async def` is annotated with the awaited type; a plain function that returns an Awaitable counts as one. A tuple
    of fixed length, a NamedTuple and a dataclass split into outputs; `Annotated[..., "name"]` keeps it whole.
    Raises `DefinitionError` that names the function, its place and the parameter.
    """
    known = _signatures.get(function)
    if known is None:
        if len(_signatures) >= _CACHE_SIZE:
            _signatures.clear()
        known = _signatures[function] = _read(function)
    return known


def read_inputs(function: Callable[..., Any]) -> tuple[InputSpec, ...]:
    """Parameters of a pipeline function; one without annotation takes anything, and what it returns does not matter."""
    source = _source_of(function, "pipeline")
    return tuple(_inputs(source, strict=False))


def _read(function: Callable[..., Any]) -> Signature:
    source = _source_of(function, "step")
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & (_GENERATOR | _ASYNC_GENERATOR):
        raise DefinitionError(f"{source.where} is a generator: a step returns, it does not yield", "return a list")
    inputs = tuple(_inputs(source, strict=True))
    if "return" not in source.annotations:
        raise DefinitionError(f"{source.where} has no return annotation", _RETURN)
    return _outputs(source, source.resolve("return"), inputs)


class _Source(Value):
    """The function that the user wrote, found behind decorators and partials."""

    function: Any
    where: str
    """`step 'module:qualname' (file.py:12)`: how errors call it."""
    parameters: tuple[InputSpec, ...]
    """As declared, without annotations."""
    annotations: Mapping[str, Any]

    def resolve(self, name: str) -> Any:
        """The runtime type of an annotation; what is written as text is evaluated where the function was defined."""
        what = "return annotation" if name == "return" else f"annotation of parameter {name!r}"
        function = self.function
        scope = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
        local = {key: cell.cell_contents for key, cell in scope.items() if _is_filled(cell)}
        local |= {parameter.__name__: parameter for parameter in getattr(function, "__type_params__", ())}
        return _resolved(self.annotations[name], function.__globals__, local, f"{self.where}: the {what}")


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - reading an empty cell raises
    except ValueError:
        return False
    return True


class _Holder:
    """Carries one annotation into `get_type_hints`, which then names no other when it fails."""

    def __init__(self, annotation: Any) -> None:
        self.__annotations__ = {"it": annotation}


def _resolved(annotation: Any, scope: dict[str, Any], local: dict[str, Any], what: str) -> Any:
    if isinstance(annotation, type):
        return annotation
    if isinstance(annotation, str) and annotation.isidentifier():  # the fast way for most annotations that are text
        found = local.get(annotation, scope.get(annotation, getattr(builtins, annotation, None)))
        if isinstance(found, type):
            return found
    try:
        found = get_type_hints(_Holder(annotation), scope, local, include_extras=True)["it"]
    except NameError as error:
        hint = f"define or import {error.name} at the top of the module"
        if "TYPE_CHECKING" in scope:
            hint += ", not under `if TYPE_CHECKING:`: core reads annotations when it runs"
        text = getattr(annotation, "__forward_arg__", annotation)
        raise DefinitionError(
            f"{what}, {str(text)!r}, names {error.name!r}, which is not known at run time", hint
        ) from error
    except Exception as error:
        message = f"{what}, {str(annotation)!r}, is no type: {type(error).__name__}: {error}"
        raise DefinitionError(message, _TYPES) from error
    if isinstance(found, int | float | str | bytes | list | tuple | dict | set):
        raise DefinitionError(f"{what}, {str(annotation)!r}, is no type", _TYPES)
    return found


def _source_of(function: Any, noun: str) -> _Source:
    """Look behind decorators (`__wrapped__`), partials, methods and callable objects."""
    partials, outer, bound = [], function, 0
    while type(function) is not FunctionType or hasattr(function, "__wrapped__"):
        if hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "func") and hasattr(function, "keywords"):
            partials.append(function)
            function = function.func
        elif hasattr(function, "__func__"):
            function, bound = function.__func__, bound + 1
        elif hasattr(type(function).__call__, "__code__") and not isinstance(function, type):
            function, bound = type(function).__call__, bound + 1
        else:
            raise DefinitionError(
                f"the signature of {noun} {outer!r} can't be read", "wrap it in a function with annotations"
            )
    code = function.__code__
    where = f"{noun} {name_of(function)!r} ({_short(code.co_filename)}:{code.co_firstlineno})"
    parameters = list(_declared(function))[bound:]
    for partial in reversed(partials):
        parameters = list(_filled(parameters, partial))
    try:
        annotations = function.__annotations__
    except NameError as error:  # Python 3.14 evaluates annotations when they are read
        message = f"{where} is annotated with {error.name!r}, which is not known at run time"
        raise DefinitionError(message, f"import {error.name}, not only under `if TYPE_CHECKING:`") from error
    return _Source(function, where, tuple(parameters), annotations)


def _short(path: str) -> str:
    """The path as seen from the working folder, when it lies in it."""
    folder = os.getcwd() + os.sep
    return path.removeprefix(folder)


def _declared(function: Any) -> Iterator[InputSpec]:
    """Parameters in the order of the `def`, as its code object and defaults tell them."""
    code, defaults = function.__code__, function.__defaults__ or ()
    plain, named = code.co_argcount, code.co_kwonlyargcount
    names, first = code.co_varnames, code.co_argcount - len(function.__defaults__ or ())
    for index, name in enumerate(names[:plain]):
        default = defaults[index - first] if index >= first else MISSING
        yield InputSpec(name, Any, default, positional_only=index < code.co_posonlyargcount)
    rest = iter(names[plain + named :])
    if code.co_flags & _VARARGS:
        yield InputSpec(next(rest), Any, variadic="*")
    for name in names[plain : plain + named]:
        yield InputSpec(name, Any, (function.__kwdefaults__ or {}).get(name, MISSING), keyword_only=True)
    if code.co_flags & _VARKEYWORDS:
        yield InputSpec(next(rest), Any, variadic="**")


def _filled(parameters: Iterable[InputSpec], partial: Any) -> Iterator[InputSpec]:
    """What a partial leaves open; what it gives by keyword becomes a default, and keyword-only from there on."""
    given, by_keyword = len(partial.args), False
    for spec in parameters:
        by_keyword = by_keyword or spec.name in partial.keywords
        if given and not spec.variadic and not spec.keyword_only:
            given -= 1
        elif spec.variadic == "*" and by_keyword:
            continue
        elif by_keyword and not spec.variadic:
            yield spec._replace(default=partial.keywords.get(spec.name, spec.default), keyword_only=True)
        else:
            yield spec


def _inputs(source: _Source, *, strict: bool) -> Iterator[InputSpec]:
    for spec in source.parameters:
        if spec.name in source.annotations:
            yield spec._replace(annotation=source.resolve(spec.name))
        elif strict:
            raise DefinitionError(
                f"parameter {spec.variadic}{spec.name!r} of {source.where} has no annotation",
                f"write its type, such as `{spec.name}: float`; `{spec.name}: Any` says that anything goes",
            )
        else:
            yield spec


def _outputs(source: _Source, returned: Any, inputs: tuple[InputSpec, ...]) -> Signature:
    if getattr(get_origin(returned), "__name__", "") in {"Coroutine", "Awaitable"}:
        returned = get_args(returned)[-1]
    name = _given_name(returned)
    kind = bare(returned)
    if kind is type(None) or kind in (Never, NoReturn):
        return Signature(inputs, (), "none")
    if name is None:
        items = _items_of(kind)
        if items:
            names = [_given_name(item) for item in items]
            named = [
                (f"output_{i}" if n is None else n, item) for i, (n, item) in enumerate(zip(names, items, strict=True))
            ]
            return Signature(inputs, _checked(source, named), "tuple")
        container = get_origin(kind) or kind
        fields = _fields_of(source, container, get_args(kind))
        if fields:
            return Signature(inputs, _checked(source, fields), "fields", container)
    return Signature(inputs, _checked(source, [("output" if name is None else name, kind)]), "single")


def _given_name(annotation: Any) -> str | None:
    """The name in `Annotated[X, "name"]`."""
    if get_origin(annotation) is not Annotated:
        return None
    return next((extra for extra in annotation.__metadata__ if isinstance(extra, str)), None)


def _items_of(kind: Any) -> tuple[Any, ...]:
    """Types in a tuple of fixed length; empty for everything else, `tuple[int, ...]` too."""
    items = get_args(kind) if get_origin(kind) is tuple else ()
    whole = any(item is ... or get_origin(item) is Unpack or getattr(item, "__unpacked__", False) for item in items)
    return () if whole else items


def _fields_of(source: _Source, kind: Any, args: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """Name and type of each field of a NamedTuple or dataclass.

    Empty when it is neither, and for a dataclass that can't be made again from its fields (`init=False`, `InitVar`).
    """
    if is_named_tuple(kind):
        names = list(kind._fields)
    elif is_dataclass(kind):
        fields = kind.__dataclass_fields__.values()
        kinds = [field._field_type.name for field in fields]
        if "_FIELD_INITVAR" in kinds or not all(field.init for field in fields):
            return []
        names = [field.name for field, of in zip(fields, kinds, strict=True) if of == "_FIELD"]
    else:
        return []
    try:
        hints = get_type_hints(kind, include_extras=True)
    except Exception as error:
        what = f"{source.where} returns {describe(kind)}, whose annotations can't be resolved: {error}"
        raise DefinitionError(what, "import what they name at run time, not only under `if TYPE_CHECKING:`") from error
    filled: dict[Any, Any] = dict(zip(getattr(kind, "__parameters__", ()), args, strict=False))
    types = [hints.get(name, Any) for name in names]
    return [(n, filled.get(t, t) if isinstance(t, TypeVar) else t) for n, t in zip(names, types, strict=True)]


def _checked(source: _Source, named: list[tuple[str, Any]]) -> tuple[OutputSpec, ...]:
    seen: set[str] = set()
    for name, _ in named:
        wrong = _wrong_name(name) or (name in seen and "is there twice")
        if wrong:
            shown = name if len(name) <= _MAX_OUTPUT else name[: _MAX_OUTPUT - 3] + "..."
            raise DefinitionError(
                f"output name {shown!a} of {source.where} {wrong}",
                "name each output by itself, with letters, digits, '_' and '-', such as \"train\"",
            )
        seen.add(name)
    return tuple(OutputSpec(name, bare(annotation)) for name, annotation in named)


def _wrong_name(name: str) -> str:
    """Why `name` can't be an output's name; empty when it can. Outputs' names stand in paths, logs and terminals."""
    if not 0 < len(name) <= _MAX_OUTPUT:
        return f"has {len(name)} characters, 1 to {_MAX_OUTPUT} are allowed"
    if name[0] == "-" or not name.replace("-", "_").isidentifier():
        return "is no word of letters, digits, '_' and '-' that begins with a letter"
    if not name.isascii():
        import unicodedata  # start-up time: only names with letters beyond ASCII need it

        if any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in name):
            return "is written from right to left, which scrambles the lines that it stands in"
        if not unicodedata.is_normalized("NFKC", name):
            return "has letters that look like others (it is not in Unicode's normal form NFKC)"
    return ""
