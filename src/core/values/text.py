"""Text from the command line and YAML, read as what an annotation asks."""

from __future__ import annotations

import json

from core.conform import describe
from core.conform.annotations import is_dataclass, is_named_tuple, is_typed_dict
from core.conform.describe import show
from core.values.collect import COLLECTIONS
from core.values.misfit import Misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NOTHING = frozenset({"none", "null", ""})
_MAPPINGS = ("dict", "Mapping", "MutableMapping")


def from_text(text: str, annotation: Any, kind: Any, path: str) -> Any:
    """What `text` stands for when `annotation`, whose class is `kind`, is asked; raises `Misfit`.

    Lists and the like are JSON, or items with commas between them; dicts, dataclasses and models are JSON. A class that
    text can't stand for gives the text back.
    """
    reader = _READERS.get(f"{kind.__module__}.{kind.__name__}")
    try:
        if reader is not None:
            return reader(text.strip())
        if kind in COLLECTIONS:
            return _collection(text.strip(), kind)
        named = is_typed_dict(kind) or is_dataclass(kind) or is_named_tuple(kind) or hasattr(kind, "model_validate")
        return json.loads(text) if named else text
    except (ValueError, ArithmeticError, LookupError, RecursionError) as error:
        hint = (
            "write JSON, such as '[1, 2]' or '{\"a\": 1}'"
            if isinstance(error, json.JSONDecodeError | RecursionError)
            else ""
        )
        raise Misfit(f"{path} is {show(text)}, which is no {describe(annotation)}", hint) from error


def _collection(text: str, kind: Any) -> Any:
    if text[:1] in ("[", "{") or kind.__name__ in _MAPPINGS:
        return json.loads(text)
    return [item.strip() for item in text.split(",")] if text else []


def _nothing(text: str) -> Any:
    return None if text.lower() in _NOTHING else text


def _timedelta(text: str) -> Any:
    from datetime import timedelta  # start-up time, as in the readers below: only parameters of these types need it

    return timedelta(seconds=float(text))


def _iso(name: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        import datetime as dt

        return getattr(dt, name).fromisoformat(text)

    return read


def _uuid(text: str) -> Any:
    from uuid import UUID

    return UUID(text)


def _decimal(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


_READERS: dict[str, Callable[[str], Any]] = {
    "builtins.int": int,
    "builtins.float": float,
    "builtins.complex": lambda text: complex(text.replace(" ", "")),
    "builtins.bool": lambda text: _TRUTH[text.lower()],
    "builtins.NoneType": _nothing,
    "builtins.bytes": lambda text: text.encode(),
    "datetime.datetime": _iso("datetime"),
    "datetime.date": _iso("date"),
    "datetime.time": _iso("time"),
    "datetime.timedelta": _timedelta,
    "uuid.UUID": _uuid,
    "decimal.Decimal": _decimal,
}
