"""The `cloudpickle` materializer: anything else; labelled, and loaded only when the tracking store recorded it.

Classes and functions of the running program are written by the module name of its file, so that they load elsewhere.
"""

from __future__ import annotations

import io
import pickle
from _thread import LockType, RLock
from itertools import islice
from socket import socket
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType

import cloudpickle

from core.builtin.materializers.classes import mend as mend_of
from core.errors import NotFoundError, OutputError
from core.names import locate, main_module, name_of
from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from core.ports.materializer import Reader, Writer

PROTOCOL = 5
DEPTH = 12
"""Levels to which the culprit is looked for inside a value."""
ITEMS = 1000
"""Items of one container that are looked at."""

_REFUSED: tuple[tuple[tuple[type, ...], str, str], ...] = (
    (
        (GeneratorType, AsyncGeneratorType, map, filter, zip, enumerate, reversed),
        "an iterator, which can be read only once",
        "return list(...) of it",
    ),
    ((CoroutineType,), "a coroutine that nobody awaited", "await it, and return its result"),
    (
        (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO),
        "an open file",
        "close it and return its pathlib.Path: the file is stored then",
    ),
    (
        (LockType, RLock),
        "a lock, which lives only in this process",
        "make it where it is used, or leave it out in __getstate__",
    ),
    (
        (socket,),
        "a network connection, which lives only in this process",
        "open it where it is used, and return its address",
    ),
)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's, with names for what is defined in `__main__`, and without open files."""

    def reducer_override(self, obj: Any) -> Any:
        """How to write `obj`; NotImplemented for the usual way."""
        if isinstance(obj, type | FunctionType) and obj.__module__ == "__main__" and _found(obj):
            return locate, (name_of(obj),)
        for kinds, what, _ in _REFUSED:
            if isinstance(obj, kinds):
                message = f"it is {what}"
                raise pickle.PicklingError(message)
        return super().reducer_override(obj)


Unpickler = pickle.Unpickler
load, loads = pickle.load, pickle.loads


def dumps(value: Any, protocol: int = PROTOCOL) -> bytes:
    """The pickle of `value`."""
    buffer = io.BytesIO()
    Pickler(buffer, protocol=protocol).dump(value)
    return buffer.getvalue()


def dump(value: Any, file: Any, protocol: int = PROTOCOL) -> None:
    """Write the pickle of `value` to `file`."""
    Pickler(file, protocol=protocol).dump(value)


def _found(thing: Any) -> bool:
    """Whether the name of something in `__main__` leads back to it, once its file is imported elsewhere."""
    if main_module() == "__main__" or "<" in thing.__qualname__:
        return False
    try:
        return locate(name_of(thing)) is thing
    except (ImportError, AttributeError):
        return False


class CloudpickleMaterializer(Materializer):
    """Any value that can be pickled; big buffers inside are not copied on the way out."""

    name = "cloudpickle"
    pickles = True

    def save(self, value: Any, out: Writer) -> None:
        """Write the pickle; raises `OutputError` with the path of the part that cannot be pickled, and a mend."""
        from core.builtin.materializers.stream import Stream

        refuse(value)
        try:
            Pickler(Stream(out), protocol=PROTOCOL).dump(value)
        except OutputError:
            raise
        except OSError:
            raise
        except Exception as error:  # border of people's own classes: whatever their reduction raises
            raise cannot(value, error) from error

    def load(self, source: Reader) -> Any:
        """The value. Runs code that stands in the bytes."""
        with source.open() as file:
            try:
                return pickle.load(file)  # noqa: S301 - only with a digest that was recorded: see `core.artifacts.load`
            except (ImportError, AttributeError) as error:
                what = f"what a stored {source.type!r} is made of can't be found: {error}"
                raise NotFoundError(what, mend_of(error)) from error

    def preview(self, value: Any) -> dict[str, Any]:
        """The class, and the text where the class has one of its own."""
        text = repr(value)[:500]
        return {"text": text if text and " at 0x" not in text else name_of(type(value))}


def refuse(value: Any) -> None:
    """Raise `OutputError` for what is no value: a generator, an open file, a lock, a connection."""
    for kinds, what, mend in _REFUSED:
        if isinstance(value, kinds):
            raise OutputError(f"the output is {what}: a {type(value).__name__!r} cannot be stored", mend)


def cannot(value: Any, error: Exception) -> OutputError:
    """The `OutputError` that names the part of `value` that cannot be pickled."""
    path, part = _culprit(value, "", DEPTH, set())
    mend = next((mend for kinds, _, mend in _REFUSED if isinstance(part, kinds)), "")
    where = f"its part {path!r}, a {name_of(type(part))!r}," if path else "it"
    why = " ".join(str(error).split())[:300]
    return OutputError(
        f"an output of type {name_of(type(value))!r} cannot be pickled: {where} fails: {why}",
        mend or "return plain data instead, leave the part out in __getstate__, or write a materializer for the class",
    )


def _culprit(value: Any, path: str, depth: int, seen: set[int]) -> tuple[str, Any]:
    """Path and object of the innermost part that cannot be pickled."""
    seen.add(id(value))
    if depth:
        for step, part in _parts(value):
            if id(part) not in seen and not _pickles(part):
                return _culprit(part, path + step, depth - 1, seen)
    return path, value


def place_of(value: Any, part: Any) -> str:
    """Where `part` stands in `value`, such as `['models'][3].lock`; empty when it is not found."""
    todo, seen = [("", value)], {id(value)}
    while todo:
        path, one = todo.pop()
        if one is part:
            return path
        for step, inner in _parts(one):
            if id(inner) not in seen:
                seen.add(id(inner))
                todo.append((path + step, inner))
    return ""


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Where each part stands, and the part: items, attributes, what a function closes over."""
    if isinstance(value, dict):
        for key in islice(value, ITEMS):
            yield f"[{key!r:.60}]", value[key]
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(islice(value, ITEMS)):
            yield f"[{index}]", item
    if isinstance(value, FunctionType) and value.__closure__:
        for name, cell in zip(value.__code__.co_freevars, value.__closure__, strict=True):
            yield f".{name}", cell.cell_contents
    elif not isinstance(value, type):
        for name in [*getattr(value, "__dict__", ()), *_slots(type(value))]:
            if hasattr(value, name):
                yield f".{name}", getattr(value, name)


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        yield from (slots,) if isinstance(slots, str) else slots


def _pickles(value: Any) -> bool:
    try:
        dumps(value)
    except Exception:  # noqa: BLE001 - border of people's own classes
        return False
    return True
