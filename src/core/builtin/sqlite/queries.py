"""Named queries from the `.sql` files beside this module."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = os.path.dirname(os.path.abspath(__file__))


def load_queries(file: str, **lists: Iterable[str]) -> dict[str, str]:
    """Queries of `file` (such as `tracking.sql`) by the name in their line `-- name: ...`; comments are dropped.

    `{name}` becomes the list of that name, as SQL has it: `'one', 'two'`.
    """
    text = _read(file)
    for name, words in lists.items():
        text = text.replace(f"{{{name}}}", ", ".join(f"'{word}'" for word in words))
    found = {}
    for block in text.split("-- name: ")[1:]:
        name, _, text = block.partition("\n")
        found[name.strip()] = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
    return found


def load_migration(version: int) -> list[str]:
    """The statements that bring schema `version - 1` to `version`, in order."""
    text = _read(os.path.join("migrations", f"{version:04d}.sql"))
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return [part.strip() for part in "\n".join(lines).split(";\n") if part.strip(" \n;")]


def _read(file: str) -> str:
    with open(os.path.join(FOLDER, file), encoding="utf-8") as source:
        return source.read()
