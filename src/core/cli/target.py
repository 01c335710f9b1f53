"""`FILE:PIPELINE`: imports the file under the module name that it has when run as a program, and finds the pipeline."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from core.context import Importing, compiling
from core.errors import CoreError, NotFoundError, UsageError, theirs
from core.names import dotted
from core.run import Pipeline
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def find_pipeline(target: str) -> Pipeline[Any, Any]:
    """The pipeline of `FILE:PIPELINE`; FILE is a path or a dotted module, and a file's only pipeline needs no name.

    Raises `NotFoundError` for a file or pipeline that is not there, `UsageError` for a file that can't be imported.
    """
    file, name = _split(target)
    module = load_module(file)
    found = pipelines_of(module)
    if name:
        if name in found:
            return found[name]
        for pipeline in found.values():
            if pipeline.name == name:
                return pipeline
        listed = ", ".join(found) or "none"
        raise NotFoundError(f"{file!r} has no pipeline {name!r}{closest(name, found)}", f"its pipelines: {listed}")
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise NotFoundError(f"{file!r} has no pipeline", "decorate a function with @pipeline")
    raise UsageError(
        f"{file!r} has {len(found)} pipelines", f"name one: {', '.join(f'{file}:{each}' for each in found)}"
    )


def pipelines_of(module: ModuleType) -> dict[str, Pipeline[Any, Any]]:
    """Pipelines by variable name: those that the module defines; those that it imports where it defines none."""
    found = {name: value for name, value in vars(module).items() if isinstance(value, Pipeline)}
    own = {name: value for name, value in found.items() if value.id.partition(":")[0] == module.__name__}
    return own or found


def load_module(file: str) -> ModuleType:
    """The module of a path or dotted name, imported as `python FILE` would find things."""
    if file.endswith(".py") or os.sep in file or os.path.exists(file):
        return _load_file(file)
    if not file or file.startswith("."):
        raise UsageError(f"{file!r} is no file and no module", "give FILE.py:PIPELINE or package.module:PIPELINE")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return _import(file, file)
    except ModuleNotFoundError as error:
        if error.name and (file == error.name or file.startswith(f"{error.name}.")):
            raise NotFoundError(
                f"there is no file and no module {file!r}", "give FILE.py:PIPELINE or package.module:PIPELINE"
            ) from error
        raise _broken(file, error) from error


def _load_file(file: str) -> ModuleType:
    path = os.path.abspath(file)
    if os.path.isdir(path):
        raise UsageError(f"{file!r} is a folder", "give the Python file in it that holds the pipeline")
    if not os.path.isfile(path):
        raise NotFoundError(
            f"there is no file {file!r}", "give the path of a Python file, then a colon and the pipeline"
        )
    if not path.endswith(".py"):
        raise UsageError(f"{file!r} is no Python file", "give a file whose name ends in .py")
    root, name = dotted(path)
    for folder in (root, os.path.dirname(path)):  # the file's own folder first, as for `python FILE`
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    try:
        module = _import(name, file)
    except ModuleNotFoundError as error:
        raise _broken(file, error) from error
    origin = getattr(module, "__file__", None)
    if origin is None or not os.path.samefile(origin, path):
        raise UsageError(
            f"{file!r} would be imported as {name!r}, a name that {origin or 'a part of Python'} has already",
            "rename the file",
        )
    return module


def _import(name: str, file: str) -> ModuleType:
    token = compiling.set(Importing(file))
    try:
        return import_module(name)
    except (CoreError, ModuleNotFoundError):
        raise
    except (Exception, SystemExit) as error:  # the border to the user's code
        raise _broken(file, error) from error
    finally:
        compiling.reset(token)


def _broken(file: str, error: BaseException) -> UsageError:
    """What to say of a file that raised while it was imported: the error, and the line of the user's code."""
    where, what = "", str(error)
    if isinstance(error, SyntaxError):
        what = str(error.msg)
        where = f" ({os.path.basename(error.filename or file)}:{error.lineno or 1})"
    else:
        trace = error.__traceback__
        while trace is not None:
            path = trace.tb_frame.f_code.co_filename
            if theirs(path):
                where = f" ({os.path.basename(path)}:{trace.tb_lineno})"
            trace = trace.tb_next
    return UsageError(
        f"{file!r} could not be imported: {type(error).__name__}: {what}{where}",
        "mend it there; CORE_DEBUG=1 shows the whole traceback",
    )


def _split(target: str) -> tuple[str, str]:
    """File and pipeline; the colon of a Windows drive does not count."""
    file, colon, name = target.rpartition(":")
    if (
        not colon
        or not file
        or (name and not name.replace("-", "_").replace(".", "_").replace(" ", "_").isidentifier())
    ):
        return target, ""
    return file, name
