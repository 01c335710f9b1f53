"""Names of functions and classes as `module:qualname`, and back; `__main__` goes by its file's module name."""

from __future__ import annotations

import os
import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def main_module() -> str:
    """Importable name of the program that runs as `__main__`; `__main__` itself in a notebook or a bare prompt."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":
        name: str = spec.name
        return name.removesuffix(".__main__") if name.endswith(".__main__") else name
    file = getattr(main, "__file__", None)
    if not file:
        return "__main__"
    return dotted(os.path.abspath(file))[1]


def dotted(path: str) -> tuple[str, str]:
    """Source root and dotted module name of a Python file, by the `__init__.py` files above it."""
    folder, file = os.path.split(path)
    parts = [os.path.splitext(file)[0]]
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder, package = os.path.split(folder)
        parts.append(package)
    return folder, ".".join(reversed(parts))


def module_of(thing: Any) -> str:
    """Importable module name of a function or class."""
    module = getattr(thing, "__module__", None) or "builtins"
    return main_module() if module == "__main__" else str(module)


def name_of(thing: Any) -> str:
    """`module:qualname` of a function or class."""
    return f"{module_of(thing)}:{thing.__qualname__}"


def source_root(module: str) -> str:
    """Folder from which `module` can be imported; the working folder when it has no file."""
    loaded = module_named(module)
    file = getattr(loaded, "__file__", None)
    return dotted(os.path.abspath(file))[0] if file else os.getcwd()


def module_named(module: str) -> ModuleType | None:
    """The loaded module of that name: the running program itself for the name of its file."""
    if module in sys.modules:
        return sys.modules[module]
    if module == main_module():
        return sys.modules["__main__"]
    return None


def locate(name: str) -> Any:
    """The function or class called `module:qualname`; imports the module when it is not loaded.

    Raises ImportError or AttributeError as Python does.
    """
    module, _, qualname = name.partition(":")
    found: Any = module_named(module)
    if found is None or getattr(getattr(found, "__spec__", None), "_initializing", False):
        found = import_module(module)  # waits where another thread is at importing it
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
