"""`step.map()` over outputs whose length is known only when it runs, and conditions: what is checked before it does."""

from __future__ import annotations

from core.compile.bind import binding_of
from core.conform import accepts, describe
from core.conform.annotations import bare
from core.conform.items import asks_for_none, items_of
from core.errors import CompileError, EdgeTypeError
from core.model.graph import WHEN, Collect, Constant, Edge, edges_of
from core.model.many import Many, ManyFields
from core.model.ref import Ref
from core.model.value import Value
from core.names import name_of
from core.values import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from typing import Any

    from core.compile.bind import Shape
    from core.model.graph import Binding
    from core.model.spec import InputSpec, Signature

DEEPEST = 8
"""Lists in lists that a map walks at most: an annotation may contain itself."""


class Walk(Value):
    """The inputs of a mapped step that are walked side by side."""

    inputs: dict[str, Binding]
    parameters: dict[str, Any]
    """Lists that are known when the pipeline is compiled."""
    depth: int
    marks: list[tuple[Edge, int]]
    """Outputs whose items are taken one by one, and how deep they lie in it."""


def walk(shape: Shape, iterables: Iterable[Any], node_id: str) -> Walk:
    """Check and bind what `node_id` is mapped over: at least one output, and lists."""
    iterables = list(iterables)
    name = shape.step.spec.name
    if len(iterables) > len(shape.positional):
        raise CompileError(
            f"{name}.map() walks {len(iterables)} lists, but {name} takes {len(shape.positional)} positional arguments",
            "what is the same for every call is passed by name",
        )
    named = dict(zip(shape.positional, iterables, strict=False))
    specs = [shape.inputs[parameter] for parameter in named]
    depth = max(_depth(value, spec, node_id) for value, spec in zip(iterables, specs, strict=True) if _unknown(value))
    found = Walk({}, {}, depth, [])
    for value, spec in zip(iterables, specs, strict=True):
        bound = _bind(value, depth, spec, node_id, found)
        if isinstance(bound, Constant):
            found.parameters[spec.name] = bound.data
        else:
            found.inputs[spec.name] = bound
    known = [len(b.items) for b in found.inputs.values() if isinstance(b, Collect) and b.kind == "list"]
    known += map(len, found.parameters.values())
    if len(set(known)) > 1:
        raise CompileError(
            f"{name}.map() walks lists of different lengths: {known}", "give at least one list, and all of one length"
        )
    return found


def _unknown(value: Any) -> bool:
    return isinstance(value, Ref | ManyFields)


def _depth(value: Any, spec: InputSpec, node_id: str) -> int:
    """How many lists deep the items lie that the parameter accepts."""
    item = items_of(value.annotation)
    if item is None:
        raise _no_list(value, value.annotation, spec, node_id)
    deepest = value._depth if isinstance(value, ManyFields) else DEEPEST
    first, depth = item, 1
    while not accepts(spec.annotation, item):
        item = items_of(item) if depth < deepest else None
        depth += 1
        if item is None:
            raise EdgeTypeError(
                f"items of {value!r} are {describe(first)}, "
                f"but input {spec.name!r} of step {node_id!r} takes {describe(spec.annotation)}",
                "map over another output, or correct one of the two annotations; "
                "what is the same for every call is passed by name",
            )
    return depth


def _bind(value: Any, depth: int, spec: InputSpec, node_id: str, found: Walk) -> Binding:
    """What is walked `depth` lists deep; a constant where no output is in it."""
    if depth == 0:
        bound = binding_of(value, spec, node_id)
        if bound is not None:
            return bound
        return Constant(to_plain(value, spec.annotation, f"parameter {spec.name!r} of step {node_id!r}"))
    if _unknown(value):
        return _bind_output(value, depth, spec, node_id, found)
    if isinstance(value, str | dict) or not hasattr(type(value), "__iter__"):
        raise _no_list(value, type(value), spec, node_id)
    items = [_bind(item, depth - 1, spec, node_id, found) for item in value]
    if all(isinstance(item, Constant) for item in items):
        return Constant([item.data for item in items if isinstance(item, Constant)])
    return Collect("list", tuple(("", item) for item in items))


def _bind_output(value: Any, depth: int, spec: InputSpec, node_id: str, found: Walk) -> Binding:
    item = value.annotation
    for _ in range(depth):
        item = None if item is None else items_of(item)
    inside = depth - (value._depth if isinstance(value, Many | ManyFields) else 0)
    if item is None or not accepts(spec.annotation, item) or (inside > 0 and isinstance(value, ManyFields)):
        raise EdgeTypeError(
            f"{node_id}.map() walks its inputs {depth} lists deep, but {value!r} for input {spec.name!r} is "
            f"{describe(value.annotation)}",
            "map over lists that are nested alike; what is the same for every call is passed by name",
        )
    if isinstance(value, ManyFields):
        return value.binding
    if inside > 0:
        found.marks.append((value.edge, inside))
    edge: Edge = value.edge
    return edge


def _no_list(value: Any, annotation: Any, spec: InputSpec, node_id: str) -> EdgeTypeError:
    kind = describe(annotation)
    hint = "map over an output that is a list or tuple; what is the same for every call is passed by name"
    if kind.startswith(("set", "frozenset", "Set", "AbstractSet")):
        hint = "a set has no order: return a list, such as `sorted(...)`"
    elif kind.startswith(("dict", "Mapping", "OrderedDict", "defaultdict")):
        hint = "return a list, such as `list(x.values())`"
    return EdgeTypeError(f"{node_id}.map() walks {value!r} for input {spec.name!r}, but it is {kind}, no list", hint)


def many_references(signature: Signature, node_id: str, depth: int) -> Any:
    """What a mapped step gives: a list, still to come, of what a call returns."""
    refs = {output.name: Many(Edge(node_id, output.name), output.annotation, depth) for output in signature.outputs}
    if signature.shape == "single":
        return next(iter(refs.values()))
    if signature.shape == "tuple":
        whole = tuple[tuple(output.annotation for output in signature.outputs)]  # type: ignore[misc, valid-type]
        return ManyFields(tuple, "tuple", refs, whole, depth)
    if signature.shape == "fields" and signature.container is not None:
        return ManyFields(signature.container, name_of(signature.container), refs, signature.container, depth)
    return Many(Edge(node_id, ""), type(None), depth)


def condition(when: Any, step: str) -> Ref | None:
    """What `when=` was given, checked: the output of a step that says whether another runs."""
    if when is None:
        return None
    if isinstance(when, bool):
        hint = "it is known now: write `if ...:` around the call"
        raise CompileError(f"when={when!r} of step {step!r} is no output of a step", hint)
    if not isinstance(when, Ref):
        raise CompileError(f"when={when!r} of step {step!r} is no output of a step", "pass `x` of `x = a_step()`")
    given = bare(when._item if isinstance(when, Many) else when.annotation)
    if given is not bool:
        raise EdgeTypeError(
            f"when={when!r} of step {step!r} is {describe(given)}, no bool", "annotate the step that decides `-> bool`"
        )
    return when


def conditional(when: Ref | None, walked: Walk, node_id: str) -> Edge | None:
    """The one condition of a mapped step; one for each instance is walked with its inputs."""
    if not isinstance(when, Many):
        return when.edge if when is not None else None
    if when._depth != walked.depth:
        raise CompileError(
            f"{node_id}.map() walks its inputs {walked.depth} lists deep, but its condition {when!r} {when._depth}",
            "make the condition with a map over the same list",
        )
    walked.inputs[WHEN] = when.edge
    return None


def optional_inputs(
    inputs: Mapping[str, Binding], specs: Mapping[str, InputSpec], each: Iterable[str], left_out: Container[str]
) -> tuple[tuple[str, ...], bool]:
    """Inputs that may be None when one of the nodes `left_out` is, and whether the node itself may then be left out."""
    optional, itself = [], False
    for name, binding in inputs.items():
        walked = name in each
        if isinstance(binding, Collect) and binding.kind in {"list", "dict"} and not walked:
            continue  # it is shorter then
        if not any(edge.node in left_out for edge in edges_of(binding)):
            continue
        if name != WHEN and asks_for_none(specs[name].annotation):
            optional.append(name)
            itself = itself or walked
        else:
            itself = True
    return tuple(optional), itself


def check_ids(templates: Iterable[str], ids: Iterable[str]) -> None:
    """Raise `CompileError` for a node that is called as an instance of a mapped step may be."""
    templates = set(templates)
    for node_id in ids:
        for begin in _beginnings(node_id):
            if begin in templates:
                raise CompileError(
                    f"step {node_id!r} has a name that a call of the mapped step {begin!r} may get",
                    "give one of the two another name=",
                )


def _beginnings(node_id: str) -> Iterator[str]:
    place = node_id.find("[")
    while place > 0:
        yield node_id[:place]
        place = node_id.find("[", place + 1)
