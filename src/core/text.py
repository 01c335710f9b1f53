"""Text for people: what may be shown of foreign text, how long things took, how runs are called."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LINE = 200
"""Characters of a message that are shown in one line; `core runs show` has the whole."""


def short(run: str) -> str:
    """How people call a run: the last 8 characters, for a UUIDv7 begins with the time."""
    return run[-8:]


def duration(seconds: float) -> str:
    """`0.12 s`, `12 s`, `2 min 05 s` or `3 h 07 min`."""
    seconds = max(seconds, 0.0)
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def amount(count: float) -> str:
    """Bytes in powers of ten: `12 B`, `3.4 MB`, `5 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def size_of(text: str) -> int | None:
    """Bytes of a size such as `16GiB`, `512 MB` or `2g`; None for what is no size."""
    import re  # start-up time: few say sizes

    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?))?b?\s*", text.lower())
    if found is None:
        return None
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** "bkmgt".index(unit or "b"))


def safe(text: str) -> str:
    """`text` with escapes in place of what moves a cursor, changes a colour or turns the reading direction."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def clean_lines(text: str) -> str:
    """`text` made inert, its line ends and tabs kept."""
    return "\n".join("\t".join(map(safe, line.split("\t"))) for line in text.split("\n"))


def first_line(text: str) -> str:
    """The first line of `text`, safe and cut to `LINE` characters."""
    line = safe(text.strip().split("\n", 1)[0].strip())
    return line if len(line) <= LINE else line[: LINE - 3] + "..."


def readable(plain: object) -> str:
    """Plain data as a person would write it: `Config(rows=3)` for what the graph holds as a class and its fields."""
    if isinstance(plain, list):
        return f"[{', '.join(map(readable, plain))}]"
    if not isinstance(plain, dict):
        return repr(plain)
    if plain.keys() == {"$", "value"}:
        kind, value = str(plain["$"]).rpartition(":")[2].rpartition(".")[2], plain["value"]
        if isinstance(value, dict):
            return f"{kind}({', '.join(f'{name}={readable(item)}' for name, item in value.items())})"
        return f"{kind}({readable(value)})"
    return f"{{{', '.join(f'{name!r}: {readable(item)}' for name, item in plain.items())}}}"


def closest(name: str, known: Iterable[object]) -> str:
    """`"; did you mean 'x'?"` with the name among `known` that is most like `name`, or the empty string."""
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else ""


def nearest(name: str, known: Iterable[object]) -> str:
    """The name among `known` that is most like `name`; empty when none is like it."""
    from difflib import get_close_matches  # start-up time: only an error needs it

    return next(iter(get_close_matches(name, [str(item) for item in known], 1, 0.5)), "")


def iso(at: float | None) -> str | None:
    """ISO 8601 in UTC with milliseconds, or None."""
    if at is None:
        return None
    from datetime import UTC, datetime  # start-up time: a run that nobody looks at needs no dates

    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def html_table(rows: Iterable[tuple[str, str]]) -> str:
    """Two columns for a notebook."""
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table>{cells}</table>"


def escape(text: str) -> str:
    """`text` as HTML shows it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
