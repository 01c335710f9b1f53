"""A mapped step becomes its instances once the number of items is known: pure functions of the graph.

A mapped step (`Node.each` is not empty) stands in the graph as a template. Its shape is the number of its instances,
or a list of shapes where it walks lists in lists: `3`, `[2, 0, 1]`. Instances are called `clean[0]` or `square[0][1]`.
"""

from __future__ import annotations

from core.errors import ExpansionError
from core.model.graph import EACH, WHEN, Collect, Constant, Edge, Graph, Node, edges_of
from core.model.spec import MAP_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from typing import Any

    from core.model.graph import Binding

    Shape = int | list["Shape"]


def ready_to_expand(template: Node, done: Container[str], expanded: Mapping[str, Shape]) -> bool:
    """Whether `template` can be expanded now, though not everything before it is done.

    `done` has the ids of the nodes whose outputs are there, `expanded` the shape of every mapped step that is expanded.
    A map over the results of another map needs that one expanded, not done; all else that it takes must be done.
    """
    if template.when is not None:
        return False  # whether any instance is wanted is decided once, for all of them
    if not all(upstream in expanded or upstream in done for upstream in template.upstream()):
        return False
    inputs = rewire(template, expanded).inputs
    opened = (edge for name in template.each if name in inputs for edge in _opened(inputs[name], template.depth))
    return all(edge.node in done for edge in opened)


def shape_of(
    template: Node,
    outputs: Mapping[str, Mapping[str, Any]],
    expanded: Mapping[str, Shape],
    *,
    limit: int = MAP_LIMIT,
) -> Shape:
    """How many instances `template` has: an int, or for a map over lists in lists a list of shapes.

    `outputs` are those of the nodes that are done, by node id and name, items such as `output[0]` included; a node that
    is not in it was skipped on purpose and counts as an empty list. Only keys are looked at.
    Raises `ExpansionError` for more than `limit` instances, and for lists of different lengths.
    """
    walked = _walked(rewire(template, expanded))
    shape = _measure(template, walked, template.depth, outputs, "")
    count = size(shape)
    if count > limit:
        raise ExpansionError(
            f"step {template.id!r} would be called {count} times, once for each item of {_sources(template)}, "
            f"but its map_limit is {limit}",
            f"allow it with `.with_options(map_limit={count})` before `.map(...)`, or map over fewer, larger items",
        )
    return shape


def instances(template: Node, shape: Shape, expanded: Mapping[str, Shape]) -> tuple[Node, ...]:
    """The nodes that stand for `template`, in order; `expanded` has the shapes of the mapped steps that it takes from.

    Each takes its item: a plain edge to `output[0]` of a step, or to an instance of another mapped step.
    """
    whole = rewire(template, expanded)
    walked = _walked(whole)
    names = {name for name, _ in walked}
    after = whole.after if whole.when is None else (*whole.after, whole.when.node)  # the condition held for all
    base = whole._replace(
        inputs={name: binding for name, binding in whole.inputs.items() if name not in names},
        parameters={name: value for name, value in whole.parameters.items() if name not in names},
        after=after,
        each=(),
        depth=1,
        when=None,
        template=template.id,
    )
    return tuple(_instances(base, shape, walked, template.id))


def rewire(node: Node, expanded: Mapping[str, Shape]) -> Node:
    """`node` with what it takes from mapped steps that are `expanded` taken from their instances, as lists.

    Gives `node` itself when it takes from none; may be done again. A mapped step that is rewired is still a template.
    """
    changed = {}
    for name, binding in node.inputs.items():
        if any(edge.node in expanded for edge in edges_of(binding)):
            changed[name] = _gather(binding, expanded)
    if changed:
        node = node._replace(inputs={**node.inputs, **changed})
    if any(upstream in expanded for upstream in node.after):
        every = (
            places(expanded[upstream], upstream) if upstream in expanded else (upstream,) for upstream in node.after
        )
        node = node._replace(after=tuple(upstream for ids in every for upstream in ids))
    return node


def lacking(node: Node, left_out: Container[str]) -> str:
    """The node, skipped on purpose, that `node` can't do without; empty when it can run.

    An input that may be None (`Node.optional`) and a list or dict, which is then shorter, can do without any.
    """
    if node.when is not None and node.when.node in left_out:
        return node.when.node
    for name, binding in node.inputs.items():
        if name in node.optional and name not in node.each:
            continue
        if isinstance(binding, Collect) and binding.kind in {"list", "dict"}:
            continue
        for edge in edges_of(binding):
            if edge.node in left_out:
                return edge.node
    return ""


def expand_graph(graph: Graph, shapes: Mapping[str, Shape]) -> Graph:
    """`graph` with the instances of each mapped step that has a shape in its place; others stay as they are."""
    if not shapes:
        return graph
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.each and node.id in shapes:
            nodes += instances(node, shapes[node.id], shapes)
        else:
            nodes.append(rewire(node, shapes))
    outputs = {name: _gather(binding, shapes) for name, binding in graph.outputs.items()}
    return graph._replace(nodes=tuple(nodes), outputs=outputs)


def size(shape: Shape) -> int:
    """Number of instances."""
    return shape if isinstance(shape, int) else sum(map(size, shape))


def places(shape: Shape, template: str) -> Iterator[str]:
    """Ids of the instances of `template`, in order: `clean[0]`, ... or `square[0][0]`, ..."""
    for index in range(shape if isinstance(shape, int) else len(shape)):
        name = f"{template}[{index}]"
        if isinstance(shape, int):
            yield name
        else:
            yield from places(shape[index], name)


def _gather(binding: Binding, expanded: Mapping[str, Shape]) -> Binding:
    """`binding` with lists of instances where it took from a mapped step."""
    if isinstance(binding, Edge):
        return _listed(binding, expanded[binding.node], "") if binding.node in expanded else binding
    if not isinstance(binding, Collect):
        return binding
    if not binding.kind.startswith(EACH):
        return Collect(binding.kind, tuple((key, _gather(item, expanded)) for key, item in binding.items))
    template = next(edge.node for edge in edges_of(binding))
    return _listed(binding, expanded[template], "") if template in expanded else binding


def _listed(binding: Edge | Collect, shape: Shape, place: str) -> Collect:
    if isinstance(shape, int):
        items: list[Binding] = [_at(binding, f"{place}[{index}]") for index in range(shape)]
    else:
        items = [_listed(binding, inner, f"{place}[{index}]") for index, inner in enumerate(shape)]
    return Collect("list", tuple(("", item) for item in items))


def _at(binding: Edge | Collect, place: str) -> Binding:
    """What one instance gives of an edge to its template."""
    if isinstance(binding, Edge):
        return Edge(binding.node + place, binding.output)
    fields = ((key, _at(item, place)) for key, item in binding.items if not isinstance(item, Constant))
    return Collect(binding.kind.removeprefix(EACH), tuple(fields))


def _walked(template: Node) -> list[tuple[str, Binding]]:
    """The inputs that are walked, lists that were known when the pipeline was compiled included."""
    inputs, parameters = template.inputs, template.parameters
    return [(name, inputs[name] if name in inputs else Constant(parameters[name])) for name in template.each]


def _opened(binding: Binding, depth: int) -> Iterator[Edge]:
    """The edges whose own items are walked."""
    if isinstance(binding, Edge):
        yield binding
    elif isinstance(binding, Collect) and depth > 1:
        for _, item in binding.items:
            yield from _opened(item, depth - 1)


def _measure(
    template: Node,
    walked: list[tuple[str, Binding]],
    depth: int,
    outputs: Mapping[str, Mapping[str, Any]],
    place: str,
) -> Shape:
    lengths = {name: _length(binding, outputs) for name, binding in walked}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{'its condition' if n == WHEN else repr(n)} has {count}" for n, count in lengths.items())
        where = f" in item {place}" if place else ""
        raise ExpansionError(
            f"step {template.id!r} is mapped over lists of different lengths{where}: {told}",
            "map over lists of one length; what is the same for every call is passed by name",
        )
    length = next(iter(lengths.values()))
    if depth == 1:
        return length
    return [
        _measure(template, [(n, _item(b, index)) for n, b in walked], depth - 1, outputs, f"{place}[{index}]")
        for index in range(length)
    ]


def _length(binding: Binding, outputs: Mapping[str, Mapping[str, Any]]) -> int:
    if isinstance(binding, Collect):
        return len(binding.items)
    if isinstance(binding, Constant):
        return len(binding.data)
    stored, count = outputs.get(binding.node, {}), 0
    while f"{binding.output}[{count}]" in stored:
        count += 1
    return count


def _item(binding: Binding, index: int) -> Binding:
    if isinstance(binding, Collect):
        return binding.items[index][1]
    if isinstance(binding, Constant):
        return Constant(binding.data[index])
    return Edge(binding.node, f"{binding.output}[{index}]")


def _instances(base: Node, shape: Shape, walked: list[tuple[str, Binding]], name: str) -> Iterator[Node]:
    for index in range(shape if isinstance(shape, int) else len(shape)):
        items = [(key, _item(binding, index)) for key, binding in walked]
        if not isinstance(shape, int):
            yield from _instances(base, shape[index], items, f"{name}[{index}]")
            continue
        inputs, parameters, when = dict(base.inputs), base.parameters, None
        for key, item in items:
            if key == WHEN and isinstance(item, Edge):
                when = item
            elif isinstance(item, Constant):
                parameters = {**parameters, key: item.data}
            else:
                inputs[key] = item
        yield base._replace(id=f"{name}[{index}]", inputs=inputs, parameters=parameters, when=when)


def _sources(template: Node) -> str:
    walked = (template.inputs[name] for name in template.each if name in template.inputs)
    return " and ".join(dict.fromkeys(repr(edge.node) for binding in walked for edge in edges_of(binding)))
