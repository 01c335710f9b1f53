"""The source of what is loaded: each file is parsed once; a piece counts only when it compiles to the loaded code."""

from __future__ import annotations

import _ast
import os
import sys
from types import CodeType

from core.digest.bytecode import code_digest, names_of
from core.digest.find import find_class, find_function, first_line, within
from core.digest.tree import shape_of
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.digest.tree import Shape

_FUTURE = 0x1FE0000  # the flags of `from __future__` imports, in code objects and for compile() alike
_MANY = 100


class Piece(Value):
    """The source of one function or class, or its code where there is no source."""

    digest: str
    line: int
    """Line of its `def` or `class`."""
    used: frozenset[str]
    """Names that it reads from around it."""
    chains: tuple[tuple[str, ...], ...]
    """Dotted names that it reads."""
    imports: tuple[tuple[int, str, tuple[str, ...]], ...] = ()
    """Imports inside of it: level, module, names."""


class _File:
    """One parsed file."""

    def __init__(self, path: str, stamp: tuple[int, int] | None, tree: Any) -> None:
        self.path = path
        self.stamp = stamp
        self.body: list[Any] = tree.body
        self.starts = [first_line(node) for node in self.body]
        self._index = {line: index for index, line in enumerate(self.starts)}
        self._codes: dict[int, list[CodeType]] = {}
        self._setters: dict[str, list[Any]] | None = None
        self.whole: Shape | None = None

    def statement(self, line: int) -> int:
        """Index of the top-level statement that holds `line`; -1 when it stands above all."""
        if line in self._index:
            return self._index[line]
        from bisect import bisect_right  # start-up time: most functions stand at the top level of their file

        return bisect_right(self.starts, line) - 1

    def codes(self, index: int, flags: int) -> list[CodeType]:
        """Every code object that the top-level statement `index` compiles to."""
        if index not in self._codes:
            module = _ast.Module(body=[self.body[index]], type_ignores=[])
            found = [compile(module, self.path, "exec", flags & _FUTURE, dont_inherit=True)]
            for code in found:
                found.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
            self._codes[index] = found
        return self._codes[index]

    def setters(self, name: str) -> list[Any]:
        """Statements of the module itself that set the global `name`, or change it: `name.x = 1`, `name.add(1)`."""
        if self._setters is None:
            self._setters = {}
            for node in within(self.body):
                called = node.value.func if isinstance(node, _ast.Expr) and isinstance(node.value, _ast.Call) else None
                found = [called] if isinstance(called, _ast.Attribute) else []
                for target in getattr(node, "targets", None) or [getattr(node, "target", None)]:
                    found += getattr(target, "elts", None) or [target]
                for name_ in {_base(part) for part in found} - {""}:
                    self._setters.setdefault(name_, []).append(node)
                if isinstance(node, _ast.Import | _ast.ImportFrom):
                    for alias in node.names:
                        self._setters.setdefault(alias.asname or alias.name, []).append(node)
        return self._setters.get(name, [])


def _base(target: Any) -> str:
    """The name that an assignment's target or a called method hangs on: `x` of `x.y[0].z`; empty when none."""
    while isinstance(target, _ast.Attribute | _ast.Subscript | _ast.Starred):
        target = target.value
    return str(target.id) if isinstance(target, _ast.Name) else ""


_files: dict[str, _File] = {}
_pieces: dict[int, tuple[object, Piece]] = {}  # by id of a code object or class, which the value keeps alive


def piece_of_function(code: CodeType, path: str) -> Piece:
    """The piece of a function's code in the file `path`; from the code alone when that file is gone, edited or none."""
    known = _pieces.get(id(code))
    if known is None:
        known = _pieces[id(code)] = (code, _function_piece(code, path))
    return known[1]


def piece_of_class(cls: type, methods: list[Any], path: str) -> Piece:
    """The piece of a class whose functions are `methods`; from their code when the source is gone, edited or none."""
    known = _pieces.get(id(cls))
    if known is None:
        known = _pieces[id(cls)] = (cls, _class_piece(cls, [m.__code__ for m in methods], path))
    return known[1]


def piece_of_file(path: str) -> Piece | None:
    """The piece of a whole module that may not be loaded yet; None when there is no such file."""
    file = _parsed(path)
    if file is None:
        return None
    if file.whole is None:
        file.whole = shape_of(_ast.Module(body=file.body, type_ignores=[]))
    return Piece(file.whole.digest, 1, frozenset(), (), tuple(file.whole.imports))


def line_of(path: str, name: str) -> int:
    """Line at which the module in `path` sets the global `name`; 1 when that is not plain to see."""
    file = _parsed(path)
    setters = file.setters(name) if file is not None else []
    return setters[0].lineno if setters else 1


def piece_of_global(path: str, name: str) -> Piece | None:
    """The piece of the statements that set the global `name`: for a value that can't be told from others itself.

    Nothing can prove that they are what was loaded.
    """
    file = _parsed(path)
    setters: list[Any] = file.setters(name) if file is not None else []
    if not setters:
        return None
    return _piece(shape_of(_ast.Module(body=setters, type_ignores=[])), setters[0].lineno, set())


def _parsed(path: str) -> _File | None:
    try:
        found = os.stat(path)
        stamp = (found.st_mtime_ns, found.st_size)
    except (OSError, ValueError):
        stamp = None
    known = _files.get(path)
    if known is not None and stamp is not None and known.stamp == stamp:
        return known
    try:
        text = _read(path, on_disk=stamp is not None)
        tree: Any = compile(text, path, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True) if text is not None else None
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if tree is None:
        return None
    _files[path] = _File(path, stamp, tree)
    return _files[path]


def _read(path: str, *, on_disk: bool) -> bytes | str | None:
    if on_disk:
        with open(path, "rb") as file:
            return file.read()
    cells = getattr(sys.modules.get("linecache"), "cache", {})  # notebooks keep the text of their cells there
    entry = cells.get(path, ())
    return "".join(entry[2]) if len(entry) > 2 else None  # size, mtime, lines, name; lazy ones are shorter


def _function_piece(code: CodeType, path: str) -> Piece:
    file = _parsed(path)
    index = file.statement(code.co_firstlineno) if file is not None else -1
    if file is not None and index >= 0 and _is_loaded(file, index, [code]):
        node = find_function(file.body[index], code)
        if node is not None:
            return _piece(shape_of(node, decorators=False), node.lineno, names_of(code))
    names = names_of(code)
    # the code does not tell which attribute belongs to which name: every pair counts
    few = sorted(names) if len(names) < _MANY else ()
    chains = tuple((name, attribute) for name in few for attribute in few)
    return Piece(code_digest(code), code.co_firstlineno, frozenset(names), chains)


def _class_piece(cls: type, codes: list[CodeType], path: str) -> Piece:
    base, prefix = os.path.basename(path), cls.__qualname__ + "."
    own = [code for code in codes if code.co_qualname.startswith(prefix) and os.path.basename(code.co_filename) == base]
    file = _parsed(path)
    node = find_class(file.body, cls, own[0].co_firstlineno if own else 0) if file is not None else None
    names: set[str] = set()
    for code in codes:
        names |= names_of(code)
    if file is not None and node is not None:
        index = file.statement(node.lineno)
        if _is_loaded(file, index, own):
            return _piece(shape_of(node), node.lineno, names)
    digests = sorted(f"{code.co_qualname} {code_digest(code)}" for code in own)
    line = min((code.co_firstlineno for code in own), default=1)
    return Piece(repr(digests), line, frozenset(names), ())


def _piece(shape: Shape, line: int, names: set[str]) -> Piece:
    # a name that is also set inside is a local one, unless the code looks it up as a global somewhere
    used = (shape.loaded - shape.bound) | (shape.loaded & names)
    chains = tuple(sorted(chain for chain in shape.chains if chain[0] in used))
    return Piece(shape.digest, line, frozenset(used), chains, tuple(shape.imports))


def _is_loaded(file: _File, index: int, codes: list[CodeType]) -> bool:
    """Whether each of `codes` is what the source at `index` compiles to: the file may have been edited since."""
    for code in codes:
        try:
            compiled = file.codes(index, code.co_flags)
        except (SyntaxError, ValueError, RecursionError):
            return False
        same = (c for c in compiled if c.co_firstlineno == code.co_firstlineno and c.co_name == code.co_name)
        if not any(other == code or code_digest(other) == code_digest(code) for other in same):
            return False
    return True
