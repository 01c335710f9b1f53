"""Figures as an aligned table and as plain data."""

from __future__ import annotations

import os
import platform
import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.harness import Figure

HEAD = ("what", "core", "unit", "reference", "against", "ratio", "budget", "moonshot", "")


def machine() -> str:
    """One line that says on what the figures were taken."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    parts = (
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        f"{os.cpu_count()} x {cpu or 'CPU'}",
    )
    return ", ".join((*parts, platform.platform(), f"load average {os.getloadavg()[0]:.1f}"))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError:
        return []


def table(figures: Sequence[Figure]) -> str:
    """One line for each figure; `met`, `missed` or nothing at its end."""
    lines = columns([HEAD, *(_cells(figure) for figure in figures)], left={0, 2, 4, 8})
    missed = sum(figure.holds(figure.budget) is False for figure in figures)
    held = sum(figure.holds(figure.budget) is True for figure in figures)
    shots = sum(figure.holds(figure.moonshot) is True for figure in figures)
    notes = [f"{figure.name}: {figure.note}" for figure in figures if figure.note]
    return lines + "\n".join(["", f"budgets: {held} met, {missed} missed; moonshots: {shots} met", *notes, ""])


def columns(rows: Sequence[tuple[str, ...]], left: set[int]) -> str:
    """Rows of text as aligned columns; those in `left` begin at the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        aligned = [cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in enumerate(cells)]
        lines.append("  ".join(aligned).rstrip() + "\n")
    return "".join(lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    sign = ">=" if figure.more_is_better else "<="
    unit = "" if figure.measure == "value" else " x"
    limits = [
        f"{sign} {_number(limit)}{unit}" if limit is not None else "" for limit in (figure.budget, figure.moonshot)
    ]
    return (
        figure.name,
        _number(figure.value),
        figure.unit,
        _number(figure.reference),
        figure.against,
        _ratio(figure),
        *limits,
        _met(figure),
    )


def verdict(figure: Figure) -> str:
    """One figure without its limits, for whoever waits."""
    words = (_number(figure.value), figure.unit, _ratio(figure), _met(figure))
    return " ".join(filter(None, words))


def _ratio(figure: Figure) -> str:
    return f"{_number(figure.ratio)} x" if figure.ratio is not None else ""


def _met(figure: Figure) -> str:
    met = {None: "", True: "met", False: "MISSED"}[figure.holds(figure.budget)]
    return f"{met}, moonshot" if figure.holds(figure.moonshot) else met


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


def to_data(figure: Figure) -> dict[str, Any]:
    """What `results.json` holds of a figure; `ok` is null where there is no budget."""
    return {
        "name": figure.name,
        "value": figure.value,
        "unit": figure.unit,
        "reference": figure.reference,
        "against": figure.against,
        "ratio": figure.ratio,
        "measure": figure.measure,
        "more_is_better": figure.more_is_better,
        "budget": figure.budget,
        "ok": figure.holds(figure.budget),
        "moonshot": figure.moonshot,
        "moonshot_ok": figure.holds(figure.moonshot),
        "note": figure.note,
        "machine": machine(),
    }
