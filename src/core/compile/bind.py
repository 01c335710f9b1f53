"""Arguments of a step call: bound to parameters as Python does, edges checked against annotations."""

from __future__ import annotations

from core.conform import accepts, describe
from core.errors import EdgeTypeError, ParameterError
from core.model.graph import Collect, Constant
from core.model.ref import Fields, Ref
from core.model.value import Value
from core.names import name_of
from core.values import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from core.define import Step
    from core.model.graph import Binding
    from core.model.spec import InputSpec, Signature


class Shape(Value):
    """What is the same for every call of one step."""

    step: Step[Any, Any]
    signature: Signature
    inputs: Mapping[str, InputSpec]
    positional: tuple[str, ...]
    """Names that positional arguments fill, in order."""
    variadic: tuple[str, str]
    """Names of `*args` and `**kwargs`, each empty when there is none."""
    required: tuple[str, ...]
    defaults: Mapping[str, Any]
    """Plain data of the parameters that have a default."""
    outputs: tuple[str, ...]
    options: Mapping[str, Any]
    after: tuple[str, ...]
    when: Ref | None
    """The output that says whether its calls run."""


def gathered(spec: InputSpec) -> InputSpec:
    """The input as one value: `*args: T` is a list of T, `**kwargs: T` a dict of T."""
    wanted = spec.annotation
    if not spec.variadic:
        return spec
    return spec._replace(annotation=list[wanted] if spec.variadic == "*" else dict[str, wanted])  # type: ignore[valid-type]


def bind_rest(shape: Shape, given: dict[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Keywords, `*args` and `**kwargs`, as Python binds them."""
    star, stars = shape.variadic
    name = shape.step.spec.name
    if len(args) > len(shape.positional):
        if not star:
            takes = len(shape.positional)
            raise ParameterError(
                f"step {name!r} takes {takes} positional arguments, {len(args)} were given", _usage(shape)
            )
        given[star] = list(args[len(shape.positional) :])
    extra = {}
    for key, value in kwargs.items():
        if key in given and key != star:
            raise ParameterError(f"step {name!r} got two values for parameter {key!r}", _usage(shape))
        if key in shape.inputs and key not in (star, stars) and not shape.inputs[key].positional_only:
            given[key] = value
        elif stars:
            extra[key] = value
        else:
            raise ParameterError(f"step {name!r} has no parameter {key!r}", _usage(shape))
    if extra:
        given[stars] = extra


def missing(shape: Shape, parameter: str) -> ParameterError:
    """The error of a call that leaves out `parameter`."""
    return ParameterError(f"step {shape.step.spec.name!r} was called without parameter {parameter!r}", _usage(shape))


def _usage(shape: Shape) -> str:
    written = ", ".join(f"{i.variadic}{i.name}: {describe(i.annotation)}" for i in shape.signature.inputs)
    return f"it is defined as {shape.step.spec.name}({written})"


def binding_of(value: Any, spec: InputSpec, node_id: str) -> Binding | None:
    """The binding of a reference or of a container that holds some; None when there is no reference in it."""
    if isinstance(value, Ref | Fields):
        if not accepts(spec.annotation, value.annotation):
            raise wrong_edge(value, node_id, spec, value.annotation)
        return value.edge if isinstance(value, Ref) else value.binding
    if not isinstance(value, list | tuple | dict) or not _has_reference(value):
        return None
    for ref, given in _given_types(value):
        if not accepts(spec.annotation, given):
            raise wrong_edge(ref, node_id, spec, given)
    return collect(value, f"parameter {spec.name!r} of step {node_id!r}")


def _has_reference(value: Any) -> bool:
    stack = [value]
    while stack:
        items = stack.pop()
        for item in items.values() if isinstance(items, dict) else items:
            if isinstance(item, Ref | Fields):
                return True
            if isinstance(item, list | tuple | dict):
                stack.append(item)
    return False


def _given_types(value: Any) -> Iterator[tuple[Any, Any]]:
    """A reference in `value` and the type that the whole has as far as this reference tells; each type once."""
    if isinstance(value, tuple):
        yield value, tuple[tuple(_type_of(item) for item in value)]  # type: ignore[misc]
        return
    seen = set()
    for item in value.values() if isinstance(value, dict) else value:
        given = _type_of(item)
        if id(given) not in seen:
            seen.add(id(given))
            yield item, dict[str, given] if isinstance(value, dict) else list[given]  # type: ignore[valid-type]


def _type_of(item: Any) -> Any:
    if isinstance(item, Ref | Fields):
        return item.annotation
    return next(iter(_given_types(item)), (0, type(item)))[1] if isinstance(item, list | dict) else type(item)


def collect(value: Any, where: str) -> Binding:
    """The binding of `value`, references and plain data nested in lists, tuples and dicts included."""
    if isinstance(value, Ref):
        return value.edge
    if isinstance(value, Fields):
        return value.binding
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple" if type(value) is tuple else name_of(type(value))
        names = getattr(value, "_fields", None) or ("",) * len(value)
        return Collect(kind, tuple((key, collect(item, where)) for key, item in zip(names, value, strict=True)))
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ParameterError(
                f"{where}: a dict that holds step outputs needs text keys, not {list(value)[:3]!r}", "use str keys"
            )
        return Collect("dict", tuple((key, collect(item, where)) for key, item in value.items()))
    return Constant(to_plain(value, None, where))


def wrong_edge(ref: Any, node_id: str, spec: InputSpec, given: Any) -> EdgeTypeError:
    """The error of an edge whose ends do not fit, naming both steps, output, input and types."""
    return EdgeTypeError(
        f"{ref!r} is {describe(given)}, but input {spec.name!r} of step {node_id!r} takes {describe(spec.annotation)}",
        "pass another output, or correct one of the two annotations",
    )
