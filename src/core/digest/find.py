"""Finds the node of a function or class in a parsed file."""

from __future__ import annotations

import _ast

from core.digest.tree import DEFINITIONS, FUNCTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def first_line(node: Any) -> int:
    """Line at which a code object would begin: that of the first decorator, if any."""
    decorators = getattr(node, "decorator_list", None)
    line: int = decorators[0].lineno if decorators else node.lineno
    def_line: int = node.lineno
    return min(line, def_line)


def within(nodes: list[Any]) -> Iterator[Any]:
    """Statements in `nodes` and in the blocks of `if`, `try`, `with` and loops among them, in order."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, DEFINITIONS):
            for key in reversed(_BLOCKS):
                stack.extend(reversed(getattr(node, key, None) or []))


def find_function(statement: Any, code: CodeType) -> Any:
    """The function or lambda in `statement` that compiled to `code`; None when that is not plain."""
    line, name = code.co_firstlineno, code.co_name
    found = []
    stack = [statement]
    while stack:
        node = stack.pop()
        if isinstance(node, FUNCTIONS):
            if node.name == name and first_line(node) == line:
                return node
        elif isinstance(node, _ast.Lambda) and name == "<lambda>" and node.lineno == line:
            found.append(node)
        for field in node._fields:
            value = getattr(node, field, None)
            for child in value if type(value) is list else (value,):
                if isinstance(child, _ast.AST) and _spans(child, line):
                    stack.append(child)  # noqa: PERF401 - a comprehension would hide the walk
    if len(found) > 1:  # several lambdas on one line: the code knows the columns of its body
        found = [node for node in found if _holds(node.body, code)]
    return found[0] if len(found) == 1 else None


def _spans(node: Any, line: int) -> bool:
    start = getattr(node, "lineno", None)
    return start is None or first_line(node) <= line <= node.end_lineno


def _holds(body: Any, code: CodeType) -> bool:
    spots = [spot for spot in code.co_positions() if None not in spot and spot[2:] != (0, 0)]
    last = spots[-1] if spots else None
    return last == (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)


def find_class(body: list[Any], cls: type, line: int) -> Any:
    """The node of `cls` in the module `body`; of several with its name the one around `line`, else the last."""
    blocks = [body]
    found: list[Any] = []
    for part in cls.__qualname__.split("."):
        if part != "<locals>":
            inside = (node for block in blocks for node in within(block))
            found = [node for node in inside if isinstance(node, DEFINITIONS) and node.name == part]
            blocks = [node.body for node in found]
    found = [node for node in found if isinstance(node, _ast.ClassDef)]
    around = [node for node in found if node.lineno <= line <= (node.end_lineno or 0)]
    return (around or found or [None])[-1]
