"""Plain Python values as trees of JSON, and back without loss: type, order and precision stay.

A list, a dict with text keys, text, and numbers stand for themselves. Everything else is `{"$": kind, ...}`; a dict
that has the key `$` of its own, or other keys than text, is written as `{"$": "dict", "v": [[key, value], ...]}`.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from json import dumps

from core.builtin.materializers import classes
from core.errors import CorruptDataError, OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.ports.materializer import Reader, Writer

MARK = "$"
PLAIN = frozenset({str, int, float, bool, type(None)})
"""Classes that JSON holds exactly."""
_EXACT = frozenset({list, tuple, dict, set, frozenset, complex, range})
_BYTES = 1024
"""Bytes up to which `bytes` stand in the tree; longer ones get bytes of their own."""
_SAFE = 1 << 63
"""Integers below it are written as numbers where others are in hex."""
_STANDARD = frozenset(
    {
        "datetime:date", "datetime:time", "datetime:datetime", "datetime:timedelta", "decimal:Decimal",
        "fractions:Fraction", "uuid:UUID", "collections:OrderedDict",
    }
)  # fmt: skip
_NUMPY = frozenset(
    {
        "bool",
        "bool_",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
    }
)
"""Scalars of numpy whose `item()` is exact."""


def takes(value: Any) -> bool:
    """Whether `Encode` has a form for this very value; nested ones without a form become children."""
    kind = type(value)
    if kind in PLAIN or kind in _EXACT:
        return True
    name = f"{kind.__module__}:{kind.__qualname__}"
    if name in _STANDARD:
        if kind.__qualname__ == "OrderedDict":
            return not value.__dict__  # a state dict of torch keeps versions there
        return getattr(value, "tzinfo", None) is None or _zone(value.tzinfo) is not None
    if kind.__module__ == "numpy":
        return kind.__name__ in _NUMPY
    return classes.form(value) is not None


def _zone(zone: Any) -> Any:
    """Plain data for a time zone: a key of the zone database, seconds and name of a fixed offset, or None."""
    key = getattr(zone, "key", None)
    if type(zone).__module__.startswith("zoneinfo") and key:
        return key
    if type(zone).__module__ == "datetime" and type(zone).__name__ == "timezone":
        offset, name = zone.__getinitargs__()[0], zone.__getinitargs__()[1:]
        return [offset.days, offset.seconds, offset.microseconds, *name]
    return None


class Encode:
    """Writes one value's tree; what has no form here goes to `out.child`."""

    def __init__(self, out: Writer, *, big: bool = False) -> None:
        """`big` looks at every integer: some are too long for JSON."""
        self._out = out
        self.refused: Any = None
        self._plain = PLAIN - {int} if big else PLAIN

    def tree(self, value: Any) -> Any:
        """Data for JSON."""
        kind = type(value)
        if kind in self._plain:
            return value
        if kind is list:
            return self._list(value)
        if kind is dict:
            return self._dict(value)
        if kind is int:
            return value if -_SAFE < value < _SAFE else {MARK: "int", "v": hex(value)}
        form = _FORMS.get(kind)
        if form is not None:
            return form(self, value)
        if takes(value):
            return self._named(value, f"{kind.__module__}:{kind.__qualname__}")
        try:
            return {MARK: "child", "v": self._out.child(value)}
        except OutputError:
            self.refused = value  # so that the place can be told
            raise

    def _list(self, value: Any) -> Any:
        if self._plain.issuperset(map(type, value)):
            return value if type(value) is list else list(value)
        return [self.tree(item) for item in value]

    def _dict(self, value: Any) -> Any:
        if MARK not in value and all(type(key) is str for key in value):
            if self._plain.issuperset(map(type, value.values())):
                return value
            return {key: self.tree(item) for key, item in value.items()}
        return {MARK: "dict", "v": self._pairs(value)}

    def _pairs(self, value: Any) -> list[Any]:
        return [[self.tree(key), self.tree(item)] for key, item in value.items()]

    def _set(self, value: Any) -> Any:
        """Sorted by their JSON, so that equal sets are equal bytes."""
        items = sorted(self._list(value), key=lambda item: dumps(item, sort_keys=True))
        return {MARK: type(value).__name__, "v": items}

    def _bytes(self, value: Any) -> Any:
        if len(value) > _BYTES:
            return {MARK: "child", "v": self._out.child(value)}
        return {MARK: type(value).__name__, "v": b2a_base64(value, newline=False).decode()}

    def _named(self, value: Any, name: str) -> Any:
        """What is known by the name of its class, so that its module is not imported here."""
        if name == "datetime:timedelta":
            return {MARK: name, "v": [value.days, value.seconds, value.microseconds]}
        if name in {"datetime:datetime", "datetime:time"}:
            zone = None if value.tzinfo is None else _zone(value.tzinfo)
            return {MARK: name, "v": value.replace(tzinfo=None).isoformat(), "fold": value.fold, "zone": zone}
        if name == "datetime:date":
            return {MARK: name, "v": value.isoformat()}
        if name == "collections:OrderedDict":
            return {MARK: name, "v": self._pairs(value)}
        if name == "fractions:Fraction":
            return {MARK: name, "v": [self.tree(value.numerator), self.tree(value.denominator)]}
        if name in _STANDARD:
            return {MARK: name, "v": str(value)}
        if type(value).__module__ == "numpy":
            return {MARK: "numpy", "of": value.dtype.name, "v": value.item()}
        kind, of, items = classes.form(value)  # type: ignore[misc]
        return {MARK: kind, "of": of, "v": self.tree(items)}


_FORMS: dict[type, Callable[[Encode, Any], Any]] = {
    tuple: lambda self, value: {MARK: "tuple", "v": self._list(value)},
    set: Encode._set,
    frozenset: Encode._set,
    bytes: Encode._bytes,
    bytearray: Encode._bytes,
    complex: lambda _, value: {MARK: "complex", "v": [value.real, value.imag]},
    range: lambda self, value: {MARK: "range", "v": [self.tree(n) for n in (value.start, value.stop, value.step)]},
}


class Decode:
    """Turns marked objects back, innermost first."""

    def __init__(self, source: Reader) -> None:
        self._source = source

    def hook(self, data: dict[str, Any]) -> Any:
        """The value for one JSON object."""
        kind = data.get(MARK)
        if kind is None:
            return data
        value = data["v"]
        if kind == "child":
            return self._source.child(value)
        simple = _BACK.get(kind)
        if simple is not None:
            return simple(value)
        if ":" in kind:
            return _standard(kind, data, value)
        if kind == "numpy":
            import numpy as np  # optional: the value says that it was there

            return np.dtype(data["of"]).type(value)
        return classes.build(kind, data.get("of"), value)


_BACK: dict[str, Callable[[Any], Any]] = {
    "int": lambda value: int(value, 16),
    "dict": lambda value: {key: item for key, item in value},  # noqa: C416 - pairs are lists
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "bytes": a2b_base64,
    "bytearray": lambda value: bytearray(a2b_base64(value)),
    "complex": lambda value: complex(*value),
    "range": lambda value: range(*value),
}


def _standard(kind: str, data: dict[str, Any], value: Any) -> Any:
    if kind not in _STANDARD:
        raise CorruptDataError(
            f"JSON of an artifact has the unknown kind {kind!r}", "load it with the version of core that wrote it"
        )
    from core.names import locate

    found = locate(kind)
    if kind in {"datetime:datetime", "datetime:time"}:
        return found.fromisoformat(value).replace(tzinfo=_zone_of(data["zone"]), fold=data["fold"])
    if kind == "datetime:date":
        return found.fromisoformat(value)
    return found(*value) if kind in {"datetime:timedelta", "fractions:Fraction"} else found(value)


def _zone_of(data: Any) -> Any:
    if data is None:
        return None
    if isinstance(data, str):
        from zoneinfo import ZoneInfo  # start-up time: few values have one

        return ZoneInfo(data)
    from datetime import UTC, timedelta, timezone  # start-up time: the same

    return UTC if data == [0, 0, 0] else timezone(timedelta(*data[:3]), *data[3:])
