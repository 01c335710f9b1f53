"""Chooses the kind of picture, and writes the kinds that need no layout."""

from __future__ import annotations

from core.errors import UsageError
from core.model.graph import edges_of
from core.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.model.graph import Graph

KINDS = ("svg", "mermaid", "json")
Lines = dict[tuple[str, str], list[str]]
"""Source and target to the names of the outputs that go along; none where the target only waits."""


def draw(graph: Graph, kind: str = "svg", states: Mapping[str, str] | None = None) -> str:
    """The picture as text. `states`, by node id, colours the steps of a run (`svg`, `mermaid`).

    `svg` is laid out here and stands alone: no script, no outside font. `json` is the graph's canonical JSON.
    Raises `UsageError` for another kind.
    """
    if kind == "json":
        return graph.json
    if kind == "mermaid":
        return _mermaid(graph, states or {})
    if kind == "svg":
        from core.draw.svg import svg  # start-up time: the layout library, only for this kind

        return svg(graph, lines_of(graph), states or {})
    raise UsageError(f"unknown kind of picture {kind!r}; expected one of {', '.join(KINDS)}", "choose one of them")


def lines_of(graph: Graph) -> Lines:
    """The lines between nodes, in the graph's order; several outputs between the same two share one line."""
    lines: Lines = {}
    for node in graph.nodes:
        for binding in node.inputs.values():
            for edge in edges_of(binding):
                names = lines.setdefault((edge.node, node.id), [])
                if edge.output not in names:
                    names.append(edge.output)
        for upstream in node.after:
            lines.setdefault((upstream, node.id), [])
    return lines


def label(names: list[str]) -> str:
    """What stands on a line: nothing where the only output has no name of its own."""
    return "" if names == ["output"] else ", ".join(names)


_COLOURS = {
    "running": "stroke:#0891b2",
    "completed": "stroke:#16a34a",
    "reused": "stroke:#2563eb",
    "failed": "stroke:#dc2626,stroke-width:3px",
    "skipped": "stroke:#ca8a04,stroke-dasharray:4",
    "cancelled": "stroke:#ca8a04",
    "lost": "stroke:#dc2626",
    "preempted": "stroke:#ca8a04",
}


def _mermaid(graph: Graph, states: Mapping[str, str]) -> str:
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart TD"]
    for node in graph.nodes:
        lines.append(f'    {names[node.id]}["{_quoted(node.id)}<br/>{_quoted(node.step)}"]')
        if states.get(node.id) in _COLOURS:
            lines.append(f"    style {names[node.id]} {_COLOURS[states[node.id]]}")
    for (source, target), outputs in lines_of(graph).items():
        text = label(outputs)
        arrow = f'-->|"{_quoted(text)}"|' if text else "-->" if outputs else "-.->"
        lines.append(f"    {names[source]} {arrow} {names[target]}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Text inside mermaid's quotes: whatever could end them or mean something becomes a character code."""
    return "".join(c if c.isalnum() or c in " ._,:/-+()" else f"#{ord(c)};" for c in safe(text))
