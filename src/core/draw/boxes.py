"""What is drawn of a graph: a box for each node, one for all calls of a step that is called very often, and lines."""

from __future__ import annotations

from core.model.graph import WHEN, edges_of
from core.model.value import Value
from core.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.model.graph import Graph, Node

MOST = 20
"""Calls of one mapped step that are drawn one by one."""
WORST = ("failed", "lost", "preempted", "cancelled", "running", "pending", "skipped", "completed", "reused")
"""States, the one that many calls are coloured by first."""
Lines = dict[tuple[str, str], list[str]]
"""Ids of two boxes to the names of the outputs that go along; none where the second only waits."""


class Box(Value):
    """A node, or all calls of a mapped step."""

    id: str
    name: str
    """What stands in it."""
    step: str
    """`module:qualname` of the step."""
    state: str
    """Empty when there is none, or none that is known."""
    stacked: bool
    """Whether it stands for many."""
    title: str
    """The whole, for a tooltip."""


def boxes_of(graph: Graph, states: Mapping[str, str]) -> tuple[list[Box], Lines]:
    """Boxes in the graph's order, and the lines between them; `states` by node id."""
    groups: dict[str, list[Node]] = {}
    for node in graph.nodes:
        groups.setdefault(node.template or node.id, []).append(node)
    inside: dict[str, str] = {}
    boxes: list[Box] = []
    for template, group in groups.items():  # the calls of a mapped step stand side by side
        if len(group) <= MOST:
            inside.update((node.id, node.id) for node in group)
            boxes += [_single(node, states.get(node.id, "")) for node in group]
        else:
            inside.update((node.id, template) for node in group)
            boxes.append(_many(template, group, [states.get(node.id, "") for node in group]))
    return boxes, _lines(graph, inside)


def _single(node: Node, state: str) -> Box:
    state = state if state in WORST else ""
    name = f"{node.id} [each]" if node.each else node.id
    title = "\n".join(filter(None, (safe(name), safe(node.step), state)))
    return Box(node.id, name, node.step, state, bool(node.each), title)


def _many(template: str, group: list[Node], states: list[str]) -> Box:
    counts = {state: states.count(state) for state in WORST if state in states}
    name = f"{template} × {len(group)}"  # noqa: RUF001 - the sign for "times"
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    title = "\n".join(filter(None, (safe(name), safe(group[0].step), told)))
    return Box(template, name, group[0].step, next(iter(counts), ""), stacked=True, title=title)


def _lines(graph: Graph, inside: Mapping[str, str]) -> Lines:
    """In the graph's order; several outputs between the same two share one line."""
    lines: Lines = {}
    for node in graph.nodes:
        for source, output in _edges(node):
            if source not in inside or inside[source] == inside[node.id]:
                continue
            names = lines.setdefault((inside[source], inside[node.id]), [])
            if output and output not in names:
                names.append(output)
    return lines


def _edges(node: Node) -> Iterable[tuple[str, str]]:
    """Where it takes from, and which output; no output where it only waits."""
    for name, binding in node.inputs.items():
        for edge in edges_of(binding):
            yield edge.node, "when" if name == WHEN else edge.output.partition("[")[0]
    for upstream in node.after:
        yield upstream, ""
    if node.when is not None:
        yield node.when.node, "when"


def label(names: list[str]) -> str:
    """What stands on a line: nothing where the only output has no name of its own."""
    return "" if names == ["output"] else ", ".join(names)
