"""Writes a graph as SVG: rounded boxes, curved lines, colours that can be read on light and on dark ground."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from unicodedata import east_asian_width

from core.draw.boxes import label
from core.draw.layout import Point, layout
from core.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.draw.boxes import Box, Lines
    from core.draw.layout import Layout

HEIGHT = 48.0
MARGIN = 20.0
LONGEST = 44
"""Characters of a text that are drawn; the tooltip has the whole."""
_ADVANCE = {"name": 8.0, "step": 6.6, "out": 6.6}
"""Pixels a character takes at most, by class: a picture knows no fonts."""
_LIGHT = {"ground": "#ffffff", "box": "#f6f8fa", "edge": "#8c959f", "text": "#1f2328", "soft": "#59636e"}
_DARK = {"ground": "#0d1117", "box": "#161b22", "edge": "#768390", "text": "#e6edf3", "soft": "#9198a1"}
_STATES = {
    "pending": "#8c959f",
    "running": "#0891b2",
    "completed": "#1a9d4b",
    "reused": "#3b7cf0",
    "failed": "#e0383e",
    "skipped": "#c28a0e",
    "cancelled": "#c28a0e",
    "lost": "#e0383e",
    "preempted": "#c28a0e",
}


def svg(pipeline: str, boxes: Sequence[Box], lines: Lines) -> str:
    """The picture."""
    widths = {box.id: _width(box) for box in boxes}
    placed = layout(widths, HEIGHT, list(lines))
    left, right, bottom = _extent(widths, placed, lines)
    drawn = (_drawn(box, widths[box.id], placed.centres[box.id]) for box in boxes)
    body = "\n".join([*_paths(placed, lines), *drawn, *_labels(placed, lines)])
    width, height = right - left + 2 * MARGIN, bottom + 2 * MARGIN
    top = -HEIGHT / 2 - MARGIN
    name = escape(safe(pipeline))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left - MARGIN:.0f} {top:.0f} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="graph of pipeline {name}">\n'
        f"<title>{name}</title>\n<style>{_style()}</style>\n"
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>\n'
        f'<rect class="ground" x="{left - MARGIN:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}"/>\n'
        f"{body}\n</svg>\n"
    )


def _style() -> str:
    states = "".join(
        f".{state} .box{{stroke:{colour}}}.{state} .bar{{fill:{colour}}}" for state, colour in _STATES.items()
    )
    return (
        "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;text-anchor:middle}"
        ".name{font-size:14px;font-weight:600}.step,.out{font-size:11px}"
        f".line{{fill:none;stroke-width:1.4}}.wait{{stroke-dasharray:5 4}}.out{{paint-order:stroke;stroke-width:4px}}"
        f".box{{stroke-width:1.4}}.skipped .box{{stroke-dasharray:5 4}}{_theme(_LIGHT)}{states}"
        f"@media (prefers-color-scheme:dark){{{_theme(_DARK)}{states}}}"
    )


def _theme(colours: Mapping[str, str]) -> str:
    ground, box, edge, text, soft = (colours[name] for name in ("ground", "box", "edge", "text", "soft"))
    return (
        f".ground{{fill:{ground}}}.box{{fill:{box};stroke:{edge}}}.bar{{fill:{edge}}}.line{{stroke:{edge}}}"
        f".head{{fill:{edge}}}.name{{fill:{text}}}.step{{fill:{soft}}}.out{{fill:{soft};stroke:{ground}}}"
    )


def _extent(widths: Mapping[str, float], placed: Layout, lines: Lines) -> tuple[float, float, float]:
    """Left, right and height."""
    lefts = [centre.x - widths[name] / 2 for name, centre in placed.centres.items()]
    rights = [centre.x + widths[name] / 2 for name, centre in placed.centres.items()]
    for line, names in lines.items():
        half = _text_width(_cut(label(names)), "out") / 2
        at = _middle(placed, line)
        lefts += [at.x - half, *(point.x for point in placed.bends.get(line, ()))]
        rights += [at.x + half, *(point.x for point in placed.bends.get(line, ()))]
    return (
        min(lefts, default=0.0),
        max(rights, default=0.0),
        max((c.y for c in placed.centres.values()), default=0.0) + HEIGHT,
    )


def _drawn(box: Box, width: float, centre: Point) -> str:
    x, y = centre.x - width / 2, centre.y - HEIGHT / 2
    behind = "".join(_rectangle(x + shift, y + shift, width) for shift in ((8, 4) if box.stacked else ()))
    return (
        f'<g class="{box.state or "step-box"}"><title>{escape(box.title)}</title>{behind}{_rectangle(x, y, width)}'
        f'<rect class="bar" x="{x + 6:.1f}" y="{y + 10:.1f}" width="3" height="{HEIGHT - 20:.0f}" rx="1.5"/>'
        f'<text class="name" x="{centre.x + 3:.1f}" y="{centre.y - 3:.1f}">{escape(_cut(box.name))}</text>'
        f'<text class="step" x="{centre.x + 3:.1f}" y="{centre.y + 14:.1f}">{escape(_cut(box.step))}</text></g>'
    )


def _rectangle(x: float, y: float, width: float) -> str:
    return f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HEIGHT:.0f}" rx="8"/>'


def _paths(placed: Layout, lines: Lines) -> Iterable[str]:
    for line, names in lines.items():
        points = _points(placed, line)
        path = f"M{points[0].x:.1f} {points[0].y:.1f}"
        for start, end in pairwise(points):
            bend = (end.y - start.y) / 2
            path += f"C{start.x:.1f} {start.y + bend:.1f} {end.x:.1f} {end.y - bend:.1f} {end.x:.1f} {end.y:.1f}"
        yield f'<path class="line{"" if names else " wait"}" d="{path}" marker-end="url(#end)"/>'


def _labels(placed: Layout, lines: Lines) -> Iterable[str]:
    for line, names in lines.items():
        text = label(names)
        if text:
            at = _middle(placed, line)
            title = f"<title>{escape(safe(text))}</title>"
            yield f'<text class="out" x="{at.x:.1f}" y="{at.y + 4:.1f}">{title}{escape(_cut(text))}</text>'


def _points(placed: Layout, line: tuple[str, str]) -> list[Point]:
    """From the lower edge of one box to the upper edge of the other."""
    start, end = placed.centres[line[0]], placed.centres[line[1]]
    return [Point(start.x, start.y + HEIGHT / 2), *placed.bends.get(line, ()), Point(end.x, end.y - HEIGHT / 2)]


def _middle(placed: Layout, line: tuple[str, str]) -> Point:
    """Where the label stands: on the last piece, where lines to different boxes have parted."""
    start, end = _points(placed, line)[-2:]
    return Point((start.x + end.x) / 2, (start.y + end.y) / 2)


def _width(box: Box) -> float:
    return max(_text_width(_cut(box.name), "name"), _text_width(_cut(box.step), "step"), 60.0) + 32


def _cut(text: str) -> str:
    shown = safe(text)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def _text_width(text: str, kind: str) -> float:
    return _ADVANCE[kind] * sum(2 if east_asian_width(c) in {"W", "F"} else 1 for c in text)
