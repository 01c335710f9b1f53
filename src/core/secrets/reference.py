"""References to secrets: `{{name.key}}` inside texts, found and replaced in nested plain data."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

MARK = "{{"
"""A text without it holds no reference."""
REFERENCE = re.compile(r"\{\{\s*([A-Za-z0-9_][A-Za-z0-9_-]*)\.([A-Za-z0-9_][A-Za-z0-9_.-]*)\s*\}\}")


def references(data: Any) -> list[tuple[str, str]]:
    """Name and key of every reference in `data`, in order, each once."""
    return list(dict.fromkeys((found[1], found[2]) for text in _texts(data) for found in REFERENCE.finditer(text)))


def refers(text: object) -> bool:
    """Whether `text` holds a reference."""
    return isinstance(text, str) and MARK in text and REFERENCE.search(text) is not None


def replaced(data: Any, value: Callable[[str, str], str]) -> Any:
    """`data` with what `value` gives for name and key in the place of each reference; the same object without any."""
    if isinstance(data, str):
        return REFERENCE.sub(lambda found: value(found[1], found[2]), data) if MARK in data else data
    if not any(MARK in text for text in _texts(data)):
        return data
    if isinstance(data, dict) or hasattr(data, "items"):
        return {key: replaced(item, value) for key, item in data.items()}
    return type(data)(replaced(item, value) for item in data)


def _texts(data: Any) -> Iterator[str]:
    """Every text in nested plain data; keys of mappings hold no references."""
    if isinstance(data, str):
        yield data
    elif hasattr(data, "values"):
        for item in data.values():
            yield from _texts(item)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _texts(item)
