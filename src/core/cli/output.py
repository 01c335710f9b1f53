"""What the command line prints: data to stdout as table, JSON or YAML; talk to stderr; hostile characters inert."""

from __future__ import annotations

import sys
from math import isfinite
from time import localtime, strftime, time

from core.text import clean_lines, duration, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Columns = Mapping[str, Callable[[Any], str]]
    """Key of a row to the function that writes its value for people; the key is the heading."""

_STYLES = {
    "completed": "green",
    "ok": "green",
    "reused": "cyan",
    "running": "yellow",
    "failed": "red",
    "problem": "red",
    "lost": "red",
    "warning": "yellow",
}


def say(text: str) -> None:
    """Tell the person something; never data."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def readable_log(text: str, *, colour: bool) -> str:
    """`text` with whatever could move the cursor or title the window written out; colours may stay.

    Of a line that was written over (a progress bar) the last state stays.
    """
    import re  # start-up time: only logs need it

    if "\r" in text:
        text = "\n".join(map(last_state, text.split("\n")))
    parts = re.split(r"(\x1b\[[0-9;]*m)", text)
    kept = parts[1::2] if colour else [""] * (len(parts) // 2)
    plain = [clean_lines(part) for part in parts[::2]]
    return plain[0] + "".join(code + part for code, part in zip(kept, plain[1:], strict=True))


def last_state(line: str) -> str:
    """What a terminal shows of a line with carriage returns in it."""
    return line.rstrip("\r").rpartition("\r")[2]


def local(seconds: float | None) -> str:
    """Local time for people; empty for None."""
    return "" if seconds is None else strftime("%Y-%m-%d %H:%M:%S", localtime(seconds))


def lasted(start: float | None, end: float | None) -> str:
    """Time between two points for people, until now where `end` is None; empty without a start."""
    return "" if start is None else duration((time() if end is None else end) - start)


def size(count: int) -> str:
    """Bytes for people: `12 B`, `3.4 KiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def emit(data: Any, form: str) -> None:
    """Print plain data as `json` or `yaml`; JSON is pure ASCII, so that no terminal and no pipe can trip over it."""
    if form == "yaml":
        import yaml  # start-up time: few ask for it

        print(yaml.safe_dump(data, sort_keys=False, allow_unicode=False), end="")
        return
    import json  # start-up time: tables do without

    try:
        text = json.dumps(data, indent=2, allow_nan=False)
    except ValueError:  # JSON has no NaN, and many readers refuse one
        text = json.dumps(_finite(data), indent=2)
    print(text)


def _finite(data: Any) -> Any:
    """`data` with null in the place of NaN and infinities."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data


def listing(rows: Sequence[Mapping[str, Any]], form: str, columns: Columns) -> None:
    """Print `rows` in the `form` that the person chose: a table of `columns`, or each row as a whole."""
    if form == "table":
        table(list(columns), [[write(row[key]) for key, write in columns.items()] for row in rows])
    else:
        emit(list(rows), form)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns: with `rich` in a terminal, as plain text elsewhere."""
    cells = [[safe(cell) for cell in row] for row in rows]
    titles = [heading.replace("_", " ").upper() for heading in headings]
    if sys.stdout.isatty():
        _rich_table(titles, cells)
        return
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    for row in [titles, *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # start-up time: only a terminal gets colours
    from rich.table import Table  # start-up time: the same
    from rich.text import Text  # start-up time: the same

    result = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        result.add_column(title, overflow="fold")
    for row in cells:
        result.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(result)
