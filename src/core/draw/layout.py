"""Places boxes in layers, top to bottom; by grandalf, or row by row where the graph is too big for it or it fails."""

from __future__ import annotations

import sys
from typing import NamedTuple

from grandalf.graphs import Edge, Graph, Vertex  # type: ignore[import-untyped]
from grandalf.layouts import SugiyamaLayout  # type: ignore[import-untyped]
from grandalf.routing import EdgeViewer, route_with_lines  # type: ignore[import-untyped]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GAP = 36.0
"""Pixels between boxes beside each other, and between parts that hang together by no line."""
LAYER = 64.0
"""Pixels between layers."""
MAX_NODES, MAX_LINES = 1000, 2500
"""What grandalf lays out in a second or two."""
Line = tuple[str, str]


class Point(NamedTuple):
    """Pixels from the left and from the top."""

    x: float
    y: float


class Layout(NamedTuple):
    """Where everything stands."""

    centres: dict[str, Point]
    """Centre of each box."""
    bends: dict[Line, list[Point]]
    """Points between its ends that a line passes; most have none."""


class _Box:
    """What grandalf asks of a node, and where it puts it."""

    def __init__(self, width: float, height: float) -> None:
        self.w = width
        self.h = height
        self.xy = (0.0, 0.0)


def layout(widths: Mapping[str, float], height: float, lines: Sequence[Line]) -> Layout:
    """Places for boxes of `widths` by node id, given in a topological order, all of one `height`."""
    if len(widths) <= MAX_NODES and len(lines) <= MAX_LINES:
        limit = sys.getrecursionlimit()
        try:
            return _grandalf(widths, height, lines)
        except Exception:  # noqa: BLE001 - border of the library: recursion, division by zero; a plainer picture is one too
            return in_rows(widths, height, lines)
        finally:
            sys.setrecursionlimit(limit)  # grandalf raises it for deep graphs and leaves it so
    return in_rows(widths, height, lines)


def _grandalf(widths: Mapping[str, float], height: float, lines: Sequence[Line]) -> Layout:
    vertices = {name: Vertex(name) for name in widths}
    for name, vertex in vertices.items():
        vertex.view = _Box(widths[name], height)
    edges = {line: Edge(vertices[line[0]], vertices[line[1]]) for line in lines}
    for edge in edges.values():
        edge.view = EdgeViewer()
    centres: dict[str, Point] = {}
    bends: dict[Line, list[Point]] = {}
    left = 0.0
    for part in Graph(list(vertices.values()), list(edges.values())).C:
        sugiyama = SugiyamaLayout(part)
        sugiyama.xspace, sugiyama.yspace, sugiyama.route_edge = GAP, LAYER, route_with_lines
        sugiyama.init_all(roots=[vertex for vertex in part.sV if not vertex.e_in()])
        sugiyama.draw(6)
        boxes = {vertex.data: vertex.view for vertex in part.sV}
        inner = {(edge.v[0].data, edge.v[1].data): _bends(edge) for edge in part.sE}
        start = min(box.xy[0] - box.w / 2 for box in boxes.values())
        start = min([start, *(point.x for points in inner.values() for point in points)])
        top = min(box.xy[1] for box in boxes.values())
        move = left - start
        centres.update({name: Point(box.xy[0] + move, box.xy[1] - top) for name, box in boxes.items()})
        bends.update({line: [Point(p.x + move, p.y - top) for p in points] for line, points in inner.items()})
        left = GAP + max(
            [box.xy[0] + box.w / 2 + move for box in boxes.values()]
            + [p.x + move for points in inner.values() for p in points]
        )
    return Layout(centres, bends)


def _bends(edge: Edge) -> list[Point]:
    return [Point(*point) for point in edge.view._pts[1:-1]]


def in_rows(widths: Mapping[str, float], height: float, lines: Sequence[Line]) -> Layout:
    """One row for each depth, in the given order, centred; lines are straight."""
    above: dict[str, list[str]] = {}
    for source, target in lines:
        above.setdefault(target, []).append(source)
    depths: dict[str, int] = {}
    rows: dict[int, list[str]] = {}
    for name in widths:
        depths[name] = 1 + max((depths[source] for source in above.get(name, ())), default=-1)
        rows.setdefault(depths[name], []).append(name)
    centres = {}
    for depth, names in rows.items():
        x = -(sum(widths[name] for name in names) + GAP * (len(names) - 1)) / 2
        for name in names:
            centres[name] = Point(x + widths[name] / 2, depth * (height + LAYER))
            x += widths[name] + GAP
    return Layout(centres, {})
