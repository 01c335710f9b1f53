"""Imports the file that steps and pipelines stand in, up to its first call of a pipeline: nothing of it may run."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from core.context import Halted, Halting, compiling
from core.errors import CompileError, CoreError
from core.names import locate, module_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def load_source(module: str, roots: Iterable[str]) -> None:
    """Import `module` with `roots` in front of the path, up to its first call of a pipeline.

    Raises ImportError as Python does, and `CompileError` for what else the module raises.
    """
    if module_named(module) is not None:
        return
    for root in roots:
        if root not in sys.path and own_folder(root):
            sys.path.insert(0, root)
    token = compiling.set(Halting())
    try:
        import_module(module)
    except Halted as halted:
        sys.modules[module] = halted.module
    except (CoreError, ImportError):
        raise
    except (Exception, SystemExit) as error:  # the border to the user's code
        what = f"{module!r} could not be imported: it raised {type(error).__name__}"
        raise CompileError(what, "mend it at the place above") from error
    finally:
        compiling.reset(token)


def imported(name: str, roots: Iterable[str]) -> Any:
    """What `module:qualname` names, imported as `load_source` does; raises AttributeError, too."""
    load_source(name.partition(":")[0], roots)
    return locate(name)


def own_folder(path: str) -> bool:
    """Whether it is there and this user's: a record that others can write must not choose what is imported."""
    try:
        return not hasattr(os, "getuid") or os.stat(path).st_uid == os.getuid()
    except OSError:
        return False
