"""The compiled pipeline: nodes, edges and parameters as plain data, with a canonical JSON and a digest."""

from __future__ import annotations

import json
from functools import cached_property

from blake3 import blake3

from core.errors import CorruptDataError
from core.model.nothing import NOTHING
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from typing import Any

GRAPH_VERSION = 1
EACH = "each "
"""Begins the kind of a `Collect` that takes every instance of a mapped step: a list of what the rest of it names."""
WHEN = "?"
"""Input of a mapped step that holds a condition for each of its instances: walked, never an argument."""


class Edge(Value):
    """The output of a node that an input takes."""

    node: str
    output: str


class Collect(Value):
    """Several edges gathered into one value: a list, tuple, dict, or the fields of a NamedTuple or dataclass."""

    kind: str
    """`list`, `tuple`, `dict`, or `module:qualname` of the class whose fields are given; see `EACH`."""
    items: tuple[tuple[str, Edge | Collect | Constant], ...]
    """Key (empty for list and tuple) and what stands there."""


class Constant(Value):
    """Plain data that stands beside edges in a `Collect`."""

    data: Any


Binding = Edge | Collect | Constant


def edges_of(binding: Binding) -> Iterator[Edge]:
    """Every edge inside `binding`, in order, without recursion."""
    stack = [binding]
    while stack:
        top = stack.pop()
        if isinstance(top, Edge):
            yield top
        elif isinstance(top, Collect):
            stack.extend(item for _, item in reversed(top.items))


def present(binding: Binding, done: Container[str]) -> Binding | None:
    """What is left of `binding` without the nodes that are not `done`: they were skipped on purpose.

    Lists and dicts get shorter; anything else that lacks a part is None.
    """
    if isinstance(binding, Edge):
        return binding if binding.node in done else None
    if isinstance(binding, Constant) or all(edge.node in done for edge in edges_of(binding)):
        return binding
    kept = tuple((key, found) for key, item in binding.items if (found := present(item, done)) is not None)
    return Collect(binding.kind, kept) if binding.kind in {"list", "dict"} else None


class Node(Value):
    """One step call."""

    id: str
    """Unique in the graph, readable: the step's name, then `name_2`, ...; `name[0]`, ... from `map`."""
    step: str
    """`module:qualname` of the step."""
    inputs: Mapping[str, Binding]
    """Parameters that take other nodes' outputs."""
    parameters: Mapping[str, Any]
    """Parameters with values, as plain data (see `core.digest.values`)."""
    outputs: tuple[str, ...]
    """Names of the outputs."""
    after: tuple[str, ...] = ()
    """Nodes that must end before this one begins, without handing anything on."""
    options: Mapping[str, Any] = NOTHING
    """Options that differ from the default, as plain data."""
    each: tuple[str, ...] = ()
    """Inputs that are walked side by side: the node stands for one call an item, known when it runs (`expand`)."""
    depth: int = 1
    """How deep in lists the items of `each` lie: 2 walks the items of every item."""
    when: Edge | None = None
    """Runs only when this output is true; else it is skipped on purpose."""
    optional: tuple[str, ...] = ()
    """Inputs that are None when what they come from was skipped on purpose."""
    walked: Mapping[str, int] = NOTHING
    """Outputs whose items are stored one by one beside the whole (`output[0]`), and how deep in lists they lie."""
    template: str = ""
    """Id of the mapped step that it is an instance of; empty for every other node."""

    def upstream(self) -> Iterator[str]:
        """Ids of the nodes that must be done before this one; may repeat."""
        for binding in self.inputs.values():
            for edge in edges_of(binding):
                yield edge.node
        yield from self.after
        if self.when is not None:
            yield self.when.node


class _Graph(Value):
    """The fields of `Graph`."""

    pipeline: str
    """Name of the pipeline."""
    nodes: tuple[Node, ...]
    parameters: Mapping[str, Any] = NOTHING
    """What the pipeline function was called with, as plain data."""
    source: str = ""
    """`module:qualname` of the pipeline function."""
    outputs: Mapping[str, Binding] = NOTHING
    """What the pipeline function returned."""


class Graph(_Graph):
    """A compiled pipeline. Nodes stand in the order in which they were called, which is a topological one."""

    @cached_property
    def by_id(self) -> dict[str, Node]:
        """Nodes by id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def json(self) -> str:
        """The canonical JSON: sorted keys, no spaces, version 1; the same on every platform and hash seed."""
        return json.dumps(to_data(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    @cached_property
    def digest(self) -> str:
        """`blake3:` and the hex digest of the canonical JSON."""
        return "blake3:" + blake3(self.json.encode("utf-8", "surrogatepass")).hexdigest()


def binding_data(binding: Binding) -> Any:
    """Plain data for `binding`: `["load","train"]` for an edge, an object for the others."""
    if isinstance(binding, Edge):
        return [binding.node, binding.output]
    if isinstance(binding, Constant):
        return {"value": binding.data}
    return {"kind": binding.kind, "items": [[key, binding_data(item)] for key, item in binding.items]}


def binding_of(data: Any) -> Binding:
    """The binding that `binding_data` wrote."""
    if isinstance(data, list):
        node, output = data
        return Edge(node, output)
    if "value" in data:
        return Constant(data["value"])
    return Collect(data["kind"], tuple((key, binding_of(item)) for key, item in data["items"]))


def to_data(graph: Graph) -> dict[str, Any]:
    """Plain data for `graph`; empty fields of nodes are left out."""
    return {
        "version": GRAPH_VERSION,
        "pipeline": graph.pipeline,
        "source": graph.source,
        "parameters": dict(graph.parameters),
        "outputs": {name: binding_data(binding) for name, binding in graph.outputs.items()},
        "nodes": [node_data(node) for node in graph.nodes],
    }


def node_data(node: Node) -> dict[str, Any]:
    """Plain data for one node; its empty fields are left out."""
    data: dict[str, Any] = {"id": node.id, "step": node.step, "outputs": node.outputs}
    if node.inputs:
        data["inputs"] = {name: binding_data(binding) for name, binding in node.inputs.items()}
    if node.parameters:
        data["parameters"] = node.parameters
    if node.after:
        data["after"] = node.after
    if node.options:
        data["options"] = node.options
    if node.each:
        data["each"], data["depth"] = node.each, node.depth
    if node.when is not None:
        data["when"] = binding_data(node.when)
    if node.optional:
        data["optional"] = node.optional
    if node.walked:
        data["walked"] = dict(node.walked)
    if node.template:
        data["template"] = node.template
    return data


def node_of(data: Mapping[str, Any]) -> Node:
    """The node that `node_data` wrote."""
    return Node(
        id=data["id"],
        step=data["step"],
        inputs={name: binding_of(binding) for name, binding in data.get("inputs", {}).items()},
        parameters=data.get("parameters", {}),
        outputs=tuple(data["outputs"]),
        after=tuple(data.get("after", ())),
        options=data.get("options", {}),
        each=tuple(data.get("each", ())),
        depth=data.get("depth", 1),
        when=Edge(*data["when"]) if "when" in data else None,
        optional=tuple(data.get("optional", ())),
        walked=data.get("walked", NOTHING),
        template=data.get("template", ""),
    )


def from_data(data: Mapping[str, Any]) -> Graph:
    """The graph that `to_data` wrote; fields of later versions are passed over."""
    nodes = tuple(node_of(item) for item in data["nodes"])
    outputs = {name: binding_of(binding) for name, binding in data.get("outputs", {}).items()}
    return Graph(data["pipeline"], nodes, data.get("parameters", {}), data.get("source", ""), outputs)


def parse(text: str) -> Graph:
    """The graph with this canonical JSON; raises `CorruptDataError` when it is none."""
    try:
        return from_data(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(
            f"this is no graph: {error!r}", "it was cut or changed; compile the pipeline again"
        ) from error
