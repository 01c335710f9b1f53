"""A syntax tree to text that only meaning can change, and the names that it uses; iterative and without `import ast`.

`import ast` alone costs more than all the rest of a fingerprint; the nodes come from the built-in `_ast`.
"""

from __future__ import annotations

import _ast

from blake3 import blake3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FUNCTIONS = (_ast.FunctionDef, _ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, _ast.ClassDef)


class Shape:
    """Digest of one piece of source, and what it uses. Filled by `shape_of`, never changed later."""

    __slots__ = ("bound", "chains", "digest", "imports", "loaded")

    def __init__(self) -> None:
        self.digest = ""
        """Hex digest of the tree without comments, formatting, docstrings."""
        self.loaded: set[str] = set()
        """Names that are read."""
        self.bound: set[str] = set()
        """Names that are set somewhere inside: arguments, variables, imports, nested definitions."""
        self.chains: set[tuple[str, ...]] = set()
        """Dotted names that are read: `("config", "training", "RATE")`."""
        self.imports: list[tuple[int, str, tuple[str, ...]]] = []
        """Imports inside: level (0 is absolute), module, names."""


def shape_of(root: Any, *, decorators: bool = True) -> Shape:
    """The shape of a tree; `decorators=False` leaves those of `root` itself out."""
    shape = Shape()
    out: list[str] = []
    stack: list[Any] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            out.append(item)
            continue
        kind = type(item)
        if kind is _ast.Constant:
            out.append(_constant(item.value))
        elif kind is _ast.Name:
            out.append(item.id)
            (shape.loaded if type(item.ctx) is _ast.Load else shape.bound).add(item.id)
        elif kind is not _ast.Expr or type(item.value) is not _ast.Constant or type(item.value.value) is not str:
            # else a text that stands alone: a docstring, or a comment in all but name
            out.append(kind.__name__)
            if kind in _NOTED:
                _note(item, shape)
            stack.append(")")
            _push(item, stack, skip="" if decorators or item is not root else "decorator_list")
    if isinstance(root, DEFINITIONS):
        shape.bound.discard(root.name)
    shape.digest = blake3("\n".join(out).encode("utf-8", "backslashreplace")).hexdigest()
    return shape


def _push(node: Any, stack: list[Any], skip: str) -> None:
    """Put the fields of `node` on the stack, last first. Empty ones are left out: newer Pythons have more of them."""
    for field in reversed(node._fields):
        value = getattr(node, field, None)
        if value is None or value == [] or field in {"ctx", skip}:
            continue
        if type(value) is list:
            stack.append("]")
            stack.extend(item if isinstance(item, _ast.AST) else repr(item) for item in reversed(value))
            stack.append(f"{field}[")
        elif isinstance(value, _ast.AST):
            stack.append(value)
            stack.append(field)
        else:
            stack.append(f"{field}={value!r}")


def _constant(value: Any) -> str:
    if type(value) is int:
        return hex(value)  # no limit on digits, and never equal to a float
    return f"{type(value).__name__} {value!r}"


def _note(node: Any, shape: Shape) -> None:
    kind = type(node)
    if kind is _ast.Attribute:
        chain = [node.attr]
        base = node.value
        while type(base) is _ast.Attribute:
            chain.append(base.attr)
            base = base.value
        if type(base) is _ast.Name:
            shape.chains.add((base.id, *reversed(chain)))
    elif kind is _ast.arg:
        shape.bound.add(node.arg)
    elif kind is _ast.Import:
        shape.imports.extend((0, alias.name, ()) for alias in node.names)
        shape.bound.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif kind is _ast.ImportFrom:
        shape.imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        shape.bound.update(alias.asname or alias.name for alias in node.names)
    elif node.name is not None:
        shape.bound.add(node.name)


_NOTED = frozenset(
    {
        *DEFINITIONS,
        _ast.Attribute,
        _ast.arg,
        _ast.Import,
        _ast.ImportFrom,
        _ast.ExceptHandler,
        _ast.MatchAs,
        _ast.MatchStar,
    },
)
