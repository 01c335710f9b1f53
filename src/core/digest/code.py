"""Fingerprint of a function: its own code, and whatever of the project's code and constants it reaches, by name."""

from __future__ import annotations

import os
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType

from blake3 import blake3

from core.digest.canonical import pack
from core.digest.reach import OPAQUE, Project, describe, functions_of, imported_files
from core.digest.source import line_of, piece_of_class, piece_of_file, piece_of_function, piece_of_global
from core.model.value import Value
from core.names import main_module, module_named, module_of, source_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.digest.source import Piece


_METHODS = (FunctionType, staticmethod, classmethod, property)


class CodeFingerprint(Value):
    """What a function's behaviour depends on in its project."""

    digest: str
    """`blake3:` and the hex digest of names and digests of all parts; where they stand does not count."""
    parts: Mapping[str, tuple[str, str]]
    """`module:qualname` to digest and place (`load.py:12`), of functions, classes, constants and imported modules."""


def fingerprint(function: Any) -> CodeFingerprint:
    """The fingerprint of `function` (or of a step's function) as it is loaded now.

    It follows globals, closures, defaults, attributes of the project's modules, annotations, class attributes and
    bases, `functools.wraps` and `partial`, and imports inside functions (the imported file counts as a whole, whether
    it is loaded or not). The project's own is all that is not installed, wherever it lies; an installed library, the
    standard library and core itself count by the names alone. Comments, formatting, docstrings and the decorators of
    functions do not count, what a decorator made of the function does. See `describe` for how constants count. Code
    whose source is gone, or was edited after it was loaded, counts by its bytecode.
    """
    module = getattr(function, "__module__", None) or "__main__"
    project = Project(source_root(module_of(function)), module)
    while not isinstance(function, FunctionType) and hasattr(function, "__wrapped__"):
        if project.owns_module(type(function).__module__):
            break  # a decorator of the project's own that is a class: what it does counts
        function = function.__wrapped__
    walk = _Walk(project)
    walk.start(function)
    digest = blake3(pack([[name, part[0]] for name, part in sorted(walk.parts.items())])).hexdigest()
    return CodeFingerprint("blake3:" + digest, walk.parts)


class _Walk:
    """One walk over everything that a function reaches."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.parts: dict[str, tuple[str, str]] = {}
        self._queue: list[FunctionType | type] = []
        self._names: dict[int, str] = {}
        self._held: list[Any] = []  # keeps what `_names` knows by id alive
        self._constants: set[str] = set()
        self._modules: dict[str, str] = {}

    def start(self, function: Any) -> None:
        """Fill `parts`."""
        described = self.reach_value(function)
        if isinstance(function, FunctionType):
            self._queue = [function, *(item for item in self._queue if item is not function)]  # whatever its file
        else:
            self._add(f"{module_of(function)}:{getattr(function, '__qualname__', '?')}", pack(described), "")
        for item in self._queue:  # grows while it is walked
            if isinstance(item, FunctionType):
                self._function(item)
            else:
                self._class(item)

    def reach(self, thing: Any) -> str:
        """Name of a function, class or module; what is the project's own is queued the first time."""
        known = self._names.get(id(thing))
        if known is None:
            known = self._names[id(thing)] = self._name(thing)
            self._held.append(thing)
            if isinstance(thing, FunctionType) and not self.project.owns_function(thing):
                self._inside(thing)
        return known

    def _inside(self, function: FunctionType) -> None:
        """Reach what a library's function holds of the project: what it wraps, and functions that it closes over."""
        held = [function.__dict__.get("__wrapped__")]
        for cell in function.__closure__ or ():
            try:
                held.append(cell.cell_contents)
            except ValueError:  # the cell is still empty
                continue
        for item in held:
            many = item.values() if isinstance(item, dict | MappingProxyType) else (item,)
            for each in list(many):
                if isinstance(each, FunctionType | type | MethodType):
                    self.reach_value(each)

    def _name(self, thing: Any) -> str:
        if isinstance(thing, ModuleType):
            return thing.__name__
        if isinstance(thing, FunctionType):
            if self.project.owns_function(thing):
                self._queue.append(thing)
            # the code's own name: functools.wraps gives the function that of what it wraps
            return f"{self._module(thing.__globals__.get('__name__', ''))}:{thing.__code__.co_qualname}"
        if isinstance(thing, type) and self.project.owns_module(thing.__module__):
            self._queue.append(thing)
        elif isinstance(thing, BuiltinFunctionType) and not isinstance(thing.__self__, ModuleType | None):
            return f"{type(thing.__self__).__name__}:{thing.__qualname__}"
        return f"{self._module(thing.__module__ or 'builtins')}:{thing.__qualname__}"

    def reach_value(self, value: Any) -> Any:
        """Plain data for any value; queues the functions and classes in it."""
        return describe(value, self.reach, self.project.owns_module)

    def _module(self, name: str) -> str:
        if name not in self._modules:
            self._modules[name] = main_module() if name == "__main__" else name
        return self._modules[name]

    def _add(self, name: str, content: bytes, place: str) -> None:
        unique, count = name, 1
        while unique in self.parts:  # several functions of one name: branches of an `if`, lambdas
            count += 1
            unique = f"{name}#{count}"
        self.parts[unique] = (blake3(content).hexdigest(16), place)

    def _function(self, function: FunctionType) -> None:
        path = self.project.path_of(function)
        piece = piece_of_function(function.__code__, path)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
        bindings = self._bindings(piece, function.__globals__, cells)
        defaults = function.__defaults__, function.__kwdefaults__
        if defaults != (None, None):
            bindings.append(["defaults", self.reach_value(defaults)])
        if "__wrapped__" in function.__dict__:
            bindings.append(["wrapped", self.reach_value(function.__dict__["__wrapped__"])])
        self._imports(piece, function.__globals__.get("__name__", ""))
        self._add(self.reach(function), pack([piece.digest, bindings]), f"{os.path.basename(path)}:{piece.line}")

    def _class(self, cls: type) -> None:
        path = self.project.file_of(cls.__module__)
        methods = functions_of(cls)
        path = path or next((self.project.path_of(method) for method in methods), "")
        piece = piece_of_class(cls, methods, path)
        cells: dict[str, Any] = {}
        inner: list[Any] = []
        for method in methods:
            if method.__code__.co_qualname.startswith(cls.__qualname__ + "."):
                cells.update(zip(method.__code__.co_freevars, method.__closure__ or (), strict=False))
            elif not method.__code__.co_filename.startswith("<"):  # put there from outside; `<string>` is a dataclass's
                inner.append(["method", self.reach(method)])
        inner.extend(["base", self.reach(base)] for base in cls.__bases__ if base is not object)
        if type(cls) is not type:
            inner.append(["metaclass", self.reach(type(cls))])
        inner.extend(self._attributes(cls))
        bindings = self._bindings(piece, self._namespace(cls, methods), cells)
        self._imports(piece, cls.__module__)
        self._add(self.reach(cls), pack([piece.digest, inner, bindings]), f"{os.path.basename(path)}:{piece.line}")

    def _attributes(self, cls: type) -> list[Any]:
        found = []
        for name, value in sorted(vars(cls).items()):
            if name.startswith(("__", "_abc_")) or isinstance(value, (cls, *_METHODS)):
                continue  # plumbing, and what the piece holds already
            described = self.reach_value(value)
            if described[0] != "opaque":
                found.append([name, described])
        return found

    def _namespace(self, cls: type, methods: list[FunctionType]) -> dict[str, Any]:
        loaded = module_named(self._module(cls.__module__))
        own = (method.__globals__ for method in methods if method.__module__ == cls.__module__)
        return vars(loaded) if loaded is not None else next(own, {})

    def _bindings(self, piece: Piece, namespace: dict[str, Any], cells: dict[str, Any]) -> list[Any]:
        """What the names in `piece` stand for, as plain data; constants of modules become parts of their own."""
        found: list[Any] = []
        for name in sorted(piece.used):
            if name in cells:
                try:
                    found.append([name, self.reach_value(cells[name].cell_contents)])
                except ValueError:  # the cell is still empty
                    continue
            elif name in namespace:
                self._global(name, name, namespace, found)
        for chain in piece.chains:
            if isinstance(namespace.get(chain[0]), ModuleType) and chain[0] not in cells:
                self._chain(chain, namespace, found)
        return found

    def _chain(self, chain: tuple[str, ...], namespace: dict[str, Any], found: list[Any]) -> None:
        """Follow a dotted name through the project's modules to what it names."""
        for position, name in enumerate(chain):
            if name not in namespace:
                return
            value = namespace[name]
            if not isinstance(value, ModuleType):
                self._global(".".join(chain[: position + 1]), name, namespace, found)
                return
            if not self.project.owns_module(value.__name__):
                return
            namespace = vars(value)

    def _global(self, label: str, name: str, namespace: dict[str, Any], found: list[Any]) -> None:
        described = self.reach_value(namespace[name])
        if described[0] in {"name", "wrapped"}:
            found.append([label, described])
            return
        module = namespace.get("__name__", "")
        part = f"{self._module(module)}:{name}"
        found.append([label, part])
        if part not in self._constants:
            self._constants.add(part)
            path = self.project.file_of(module)
            content = [described]
            setters = piece_of_global(path, name) if path and OPAQUE in pack(described) else None
            if setters is not None:
                content += [setters.digest, self._bindings(setters, namespace, {})]
            self._add(part, pack(content), f"{os.path.basename(path)}:{line_of(path, name)}" if path else "")

    def _imports(self, piece: Piece, module: str) -> None:
        """Count the project's files that are imported inside functions, and what they import, each as a whole."""
        if not piece.imports:
            return
        todo = [(module, piece.imports, self.project.file_of(module))]
        for name, imports, origin in todo:
            inside = name if not origin.endswith("__init__.py") else f"{name}.__init__"
            for imported, path in imported_files(self.project.root, self._module(inside), imports):
                part = f"{imported}:"
                whole = piece_of_file(path) if part not in self.parts and self.project.owns_file(path) else None
                if whole is not None:
                    self._add(part, whole.digest.encode(), f"{os.path.basename(path)}:1")
                    todo.append((imported, whole.imports, path))
