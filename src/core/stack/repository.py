"""Stacks that live in the repository: in `core.yaml`, or under `[tool.core]` in pyproject.toml.

There they are `[tool.core.stacks.NAME]` and `[tool.core.components.TYPE.NAME]`. The nearest of each file at or above
the working folder counts.
"""

from __future__ import annotations

import os

from core.errors import ConfigurationError
from core.settings import STACKS, line_of, upward
from core.stack.declared import Declared, read_file, read_table
from core.yaml_file import Map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "core.yaml"
TABLE = "tool.core"


def declared() -> Declared:
    """What the repository declares; nothing where it declares nothing.

    Raises `ConfigurationError` with file and line, also where both files say one name.
    """
    yaml, toml = upward(FILE), upward("pyproject.toml")
    first = read_file(yaml) if yaml else Declared()
    second = _from_pyproject(toml) if toml else Declared()
    if not second.components and not second.stacks:
        return first
    both = Declared((*first.components, *second.components), (*first.stacks, *second.stacks))
    _refuse_twice(both)
    return both


def _refuse_twice(every: Declared) -> None:
    seen: dict[tuple[str, str], str] = {}
    items = [(entry.kind, entry.name, entry.origin) for entry in every.components]
    for kind, name, origin in [*items, *(("stack", entry.name, entry.origin) for entry in every.stacks)]:
        other = seen.setdefault((kind, name), origin)
        if other != origin:
            raise ConfigurationError(
                f"{kind.replace('_', ' ')} {name!r} is declared twice: in {other} and in {origin}", "remove one of them"
            )


def _from_pyproject(path: str) -> Declared:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigurationError(f"{path!r} cannot be read: {error.strerror}", "make the file readable") from error
    if not any(word.encode() in data for word in STACKS):  # spares most projects the import of tomllib
        return Declared()
    import tomllib  # start-up time: only where a file has something to say

    try:
        text = data.decode()
        content: Any = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{os.path.abspath(path)!r} is not valid TOML: {error}", "mend the file") from error
    for part in TABLE.split("."):
        content = content.get(part, {}) if isinstance(content, dict) else {}
    if not isinstance(content, dict):
        return Declared()  # the settings tell of it
    wanted = {key: value for key, value in content.items() if key in STACKS}
    return read_table(path, _with_lines(wanted, text, TABLE, 1))


def _with_lines(data: dict[str, Any], text: str, table: str, above: int) -> Map:
    """`data` with the line of each key, as far as it can be told."""
    result = Map()
    for key, value in data.items():
        inner = f"{table}.{key}"
        line = line_of(text, inner) or line_of(text, table, key) or above
        result[key] = _with_lines(value, text, inner, line) if isinstance(value, dict) else value
        result.lines[key] = line
    return result
