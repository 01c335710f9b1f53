"""What a piece of code may reach: which files are the project's own, and what stands behind wrappers and containers."""

from __future__ import annotations

import functools
import os
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from core.digest.canonical import pack
from core.errors import ParameterError
from core.names import main_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_CORE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STDLIB = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_BY_TEXT = frozenset({"datetime", "decimal", "fractions", "uuid", "pathlib", "pathlib._local", "zoneinfo"})
_DEPTH = 50
OPAQUE = pack("opaque")
"""Stands in the packed description of what has no stable value."""


class Project:
    """Tells the project's own files and modules from everyone else's."""

    def __init__(self, root: str, module: str) -> None:
        self.root = root.rstrip(os.sep) + os.sep
        self.module = module
        if (self.root[:-1] + os.sep).endswith(_INSTALLED):  # an installed pipeline: its own package, not its neighbours
            self.root += module.partition(".")[0]
        self._owns: dict[str, bool] = {}
        self._files: dict[str, str] = {}

    def owns_file(self, path: str) -> bool:
        """Whether the source file `path` is the project's own."""
        if path not in self._owns:
            # outside the root too: a package beside the script, or one that is installed to be edited
            below = path.startswith(self.root)
            rest = os.sep + path[len(self.root) :] if below else path
            foreign = path.startswith((_CORE, _STDLIB)) or any(part in rest for part in _INSTALLED)
            self._owns[path] = (below or os.path.isabs(path)) and not foreign
        return self._owns[path]

    def owns_module(self, module: str) -> bool:
        """Whether a module is the project's own: where the function itself lives, a notebook, or by its file."""
        if module == self.module:
            return True
        path = self.file_of(module)
        return self.owns_file(path) if path else module == "__main__"

    def file_of(self, module: str) -> str:
        """Absolute path of a loaded module's source; empty when it has none."""
        if module not in self._files:
            loaded = sys.modules.get(module)
            if loaded is None and module == self.module == main_module():
                loaded = sys.modules["__main__"]
            self._files[module] = os.path.abspath(getattr(loaded, "__file__", None) or "") if _has_file(loaded) else ""
        return self._files[module]

    def path_of(self, function: FunctionType) -> str:
        """Path of the file that a function stands in, or the made-up name of what never was a file."""
        path = function.__code__.co_filename
        if path.startswith("<") or os.path.isabs(path):
            return path
        file = self.file_of(function.__globals__.get("__name__", ""))
        return file if os.path.basename(file) == os.path.basename(path) else os.path.abspath(path)

    def owns_function(self, function: FunctionType) -> bool:
        """Whether a function is the project's own, by its code: wrappers carry the name of what they wrap."""
        path = self.path_of(function)
        if self.owns_file(path):
            return True
        return not os.path.exists(path) and self.owns_module(function.__globals__.get("__name__", ""))


def _has_file(module: ModuleType | None) -> bool:
    return bool(getattr(module, "__file__", None))


def functions_of(cls: type) -> list[FunctionType]:
    """Every function in the body of `cls`, out of its `staticmethod`, `property` and other wrappings."""
    found = []
    for value in list(vars(cls).values()):
        for part in (value, getattr(value, "fget", None), getattr(value, "fset", None), getattr(value, "fdel", None)):
            inner = getattr(part, "__func__", None) or getattr(part, "func", None) or part
            if isinstance(inner, FunctionType):
                found.append(inner)
    return found


def describe(value: Any, reach: Callable[[Any], str], owns: Callable[[str], bool]) -> Any:
    """Plain data that tells `value` apart from others, the same in every process.

    Plain data, enums, paths, patterns, dates, numbers, numpy arrays, dataclasses, named tuples, pydantic models and
    containers of them count by value, and so do instances of the project's own classes (`owns` tells of a module
    whether it is) and plain namespaces, by their attributes. Functions, classes and modules count by name, and are
    handed to `reach`, which gives that name. Everything else (frames, models, locks, loggers, instances of a library's
    classes) has no stable value: it counts by the name of its type, and a global, besides, by the statements of its
    module that set or change it.
    """
    if isinstance(value, FunctionType | type):  # by far the most common
        return ["name", reach(value)]
    return _Description(reach, owns).of(value, 0)


class _Description:
    """Describes one value; an object that appears again counts by where it stood first."""

    def __init__(self, reach: Callable[[Any], str], owns: Callable[[str], bool]) -> None:
        self._reach = reach
        self._owns = owns
        self._seen: dict[int, tuple[int, Any]] = {}  # holds the values, so that their ids stay their own

    def _see(self, value: Any) -> None:
        self._seen[id(value)] = (len(self._seen), value)

    def of(self, value: Any, depth: int) -> Any:
        """Plain data for `value`."""
        kind = type(value)
        reach = self._reach
        if kind in _EXACT:
            try:
                return ["plain", kind.__name__, pack(value)]
            except ParameterError:
                pass  # something inside is not plain: look at each part
        if isinstance(value, FunctionType | type | ModuleType | BuiltinFunctionType):
            return ["name", reach(value)]
        if id(value) in self._seen or depth > _DEPTH:
            return ["again", self._seen.get(id(value), (-1,))[0]]
        fields = _fields(value)
        owned = kind.__module__ == "__main__" or self._owns(kind.__module__)
        if "__wrapped__" in fields:  # what a decorator made of a function; a step is one
            self._see(value)
            rest = [[name, self.of(fields[name], depth + 1)] for name in sorted(fields)] if owned else []
            wrapped = [item for item in rest if not item[0].startswith("__")]
            return ["wrapped", reach(kind), self.of(fields["__wrapped__"], depth + 1), *wrapped]
        parts = _parts(value, kind)
        if parts is None and (owned or kind.__name__ == "SimpleNamespace" or kind.__module__ == "argparse"):
            parts = _attributes(value, kind)
        if parts is None:
            return _leaf(value, kind, reach)
        self._see(value)
        name = kind.__name__ if kind.__module__ == "builtins" else reach(kind)
        described = [[key, self.of(part, depth + 1)] for key, part in parts]
        return [name, sorted(described, key=pack) if isinstance(value, set | frozenset) else described]


def _attributes(value: Any, kind: type) -> list[tuple[Any, Any]] | None:
    """Attributes of an instance by name; None of an enum's member and of what keeps none in Python."""
    if hasattr(kind, "__members__"):
        return None
    found = dict(_fields(value))
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            try:
                found.setdefault(name, object.__getattribute__(value, name))
            except AttributeError:  # not set yet, or private
                continue
    return sorted(found.items(), key=lambda item: str(item[0])) if found or hasattr(value, "__dict__") else None


def _parts(value: Any, kind: type) -> list[tuple[Any, Any]] | None:
    """What `value` is made of; None when it is not made of values."""
    if isinstance(value, dict):
        items = [(_key(key), item) for key, item in value.items()]
        return [*items, *((("key",), key) for key in value if not isinstance(key, str))]
    if isinstance(value, tuple | list | set | frozenset):
        return [("", item) for item in value]
    for made, parts in _MADE_OF.items():
        if isinstance(value, made):
            return [(name, getattr(value, name)) for name in parts]
    if hasattr(kind, "__pydantic_fields__"):
        return list(_fields(value).items())
    names: Any = getattr(kind, "__dataclass_fields__", None)
    if kind.__module__ in {"types", "typing"} and hasattr(value, "__args__"):  # list[Row], Row | None and the like
        names = ("__origin__", "__args__")
    return None if names is None else [(name, getattr(value, name, None)) for name in names]


def _fields(value: Any) -> Any:
    try:
        return object.__getattribute__(value, "__dict__")  # not getattr: a proxy's own may do anything
    except AttributeError:
        return ()


def _leaf(value: Any, kind: type, reach: Callable[[Any], str]) -> Any:
    name = reach(kind)
    if hasattr(kind, "__members__") and hasattr(value, "_name_"):
        return ["enum", name, str(value._name_)]
    if kind.__module__ == "re" and hasattr(value, "pattern"):
        return ["pattern", value.pattern, int(value.flags)]
    if _by_text(value):
        return ["text", name, repr(value)]
    if kind.__module__ == "numpy" and hasattr(kind, "tobytes") and not value.dtype.hasobject:
        return ["array", repr(value.dtype), list(value.shape), value.tobytes()]
    return ["opaque", name]


def _by_text(value: Any) -> bool:
    kind = type(value)
    return kind in {complex, range, slice, bytearray, type(...)} or kind.__module__ in _BY_TEXT


def _key(key: Any) -> Any:
    if isinstance(key, str):
        return key
    return [type(key).__name__, repr(key) if isinstance(key, int | float | bytes) else ""]


_MADE_OF: dict[Any, tuple[str, ...]] = {
    MethodType: ("__func__", "__self__"),
    functools.partial: ("func", "args", "keywords"),
    (staticmethod, classmethod): ("__func__",),
    property: ("fget", "fset", "fdel"),
}
_EXACT = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})


def imported_files(
    root: str, module: str, imports: tuple[tuple[int, str, tuple[str, ...]], ...]
) -> Iterator[tuple[str, str]]:
    """Name and path of modules that `imports` inside `module` may bring in, as far as they could lie under `root`."""
    package = module.split(".")
    for level, name, names in imports:
        base = package[: max(0, len(package) - level)] if level else []
        target = [*base, *name.split(".")] if name else base
        for parts in (target, *([*target, part] for part in names)):
            stem = os.path.join(root, *parts)
            for path in (stem + ".py", os.path.join(stem, "__init__.py")):
                if parts and os.path.isfile(path):
                    yield ".".join(parts), path
                    break
