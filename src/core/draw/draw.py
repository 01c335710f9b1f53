"""Chooses the kind of picture, and writes the kinds that need no layout."""

from __future__ import annotations

from core.draw.boxes import boxes_of, label
from core.errors import UsageError
from core.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.model.graph import Graph

KINDS = ("svg", "mermaid", "json")


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

        return svg(graph.pipeline, *boxes_of(graph, states or {}))
    raise UsageError(f"unknown kind of picture {kind!r}; expected one of {', '.join(KINDS)}", "choose one of them")


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
    boxes, between = boxes_of(graph, states)
    names = {box.id: f"n{number}" for number, box in enumerate(boxes)}
    lines = ["flowchart TD"]
    for box in boxes:
        start, end = ("[[", "]]") if box.stacked else ("[", "]")
        lines.append(f'    {names[box.id]}{start}"{_quoted(box.name)}<br/>{_quoted(box.step)}"{end}')
        if box.state in _COLOURS:
            lines.append(f"    style {names[box.id]} {_COLOURS[box.state]}")
    for (source, target), outputs in between.items():
        text = label(outputs)
        arrow = f'-->|"{_quoted(text)}"|' if text else "-->" if outputs else "-.->"
        lines.append(f"    {names[source]} {arrow} {names[target]}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Text inside mermaid's quotes: whatever could end them or mean something becomes a character code."""
    return "".join(c if c.isalnum() or c in " ._,:/-+()" else f"#{ord(c)};" for c in safe(text))
