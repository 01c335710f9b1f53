"""Digests of compiled code: proves that a piece of source is what is loaded, and stands in where there is no source."""

from __future__ import annotations

from types import CodeType

from blake3 import blake3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def code_digest(code: CodeType) -> str:
    """Hex digest of what `code` does: its instructions, constants and names, not where it stands.

    It differs between minor versions of Python. A docstring counts for nothing, except in a function inside another.
    """
    hasher = blake3()
    stack: list[Any] = [code]
    first = True
    while stack:
        item = stack.pop()
        if not isinstance(item, CodeType):
            hasher.update(item)
            continue
        constants = list(item.co_consts)
        if first and item.co_name != "<lambda>" and constants and isinstance(constants[0], str):
            constants[0] = None  # the docstring stands first, None where there is none
        first = False
        head = (item.co_name, item.co_argcount, item.co_posonlyargcount, item.co_kwonlyargcount, item.co_flags)
        names = (item.co_names, item.co_varnames, item.co_freevars, item.co_cellvars)
        text = repr((head, names, item.co_code, item.co_exceptiontable, len(constants)))
        hasher.update(text.encode("utf-8", "backslashreplace"))
        stack.extend(constant if isinstance(constant, CodeType) else _text(constant) for constant in constants)
    return hasher.hexdigest()


def names_of(code: CodeType) -> set[str]:
    """Names of globals and attributes that `code` and the code inside it use."""
    names: set[str] = set()
    stack = [code]
    while stack:
        item = stack.pop()
        names.update(item.co_names)
        stack.extend(constant for constant in item.co_consts if isinstance(constant, CodeType))
    return names


def _text(constant: Any) -> bytes:
    if isinstance(constant, frozenset):  # its order depends on the hash seed
        return b"frozenset" + b"".join(sorted(map(_text, constant)))
    if isinstance(constant, tuple):
        return b"(" + b"".join(map(_text, constant)) + b")"
    text = hex(constant) if type(constant) is int else repr(constant)
    data = text.encode("utf-8", "backslashreplace")
    return f"{type(constant).__name__} {len(data)} ".encode() + data
