"""Plain data to canonical bytes and to a digest: typed and length-delimited, so that no two values collide.

The bytes are those that `marshal` version 2 writes for the same value with its dicts sorted, tuples as lists and every
NaN as one: a format that has not changed since Python 2.5, keeps no references, and is written at the speed of C.
"""

from __future__ import annotations

from marshal import dumps
from types import MappingProxyType

from blake3 import blake3

from core.errors import ParameterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_VERSION = 2
_MAX_WIDTH = 2**31
_NAN = float("nan")


def pack(value: Any) -> bytes:
    """Canonical bytes of plain data: None, bool, int, float, str, bytes, lists, and dicts with text as keys.

    A tuple counts as a list, an instance of a subclass (StrEnum, NamedTuple, numpy's float64) as its plain base. Raises
    `ParameterError` for anything else, and for a value that contains itself. Depth is no matter.
    """
    if type(value) in _SCALARS:
        return _scalar(value)
    flat = _flat(value)
    return flat if flat is not None else _nested(value)


def digest_of(value: Any) -> str:
    """`blake3:` and the hex digest of `pack(value)`."""
    return "blake3:" + blake3(pack(value)).hexdigest()


def _scalar(value: Any) -> bytes:
    return dumps(_NAN if value != value else value, _VERSION)  # noqa: PLR0124 - only a NaN differs from itself


def _flat(value: Any) -> bytes | None:
    """The bytes of a list, tuple or sorted dict of scalars in one go; None when it is anything else."""
    kind = type(value)
    if kind is dict:
        if not set(map(type, value)) <= {str} or not set(map(type, value.values())) <= _SCALARS:
            return None
        items = {key: value[key] for key in sorted(value)}
        if any(item != item for item in items.values()):  # noqa: PLR0124 - only a NaN differs from itself
            items = {key: _NAN if item != item else item for key, item in items.items()}  # noqa: PLR0124
        return dumps(items, _VERSION)
    if kind is not list and kind is not tuple:
        return None
    kinds = set(map(type, value))
    if not kinds <= _SCALARS:
        return None
    if float in kinds and any(item != item for item in value):  # noqa: PLR0124 - only a NaN differs from itself
        value = [_NAN if item != item else item for item in value]  # noqa: PLR0124
    return dumps(value if type(value) is list else list(value), _VERSION)


def _nested(value: Any) -> bytes:
    out: list[bytes] = []
    open_: list[tuple[Iterator[Any], int, bytes]] = []  # containers being written: rest, identity, closing bytes
    inside: set[int] = set()
    rest, identity, end = iter((value,)), 0, b""
    while True:
        for item in rest:
            kind = type(item)
            if kind in _SCALARS:
                out.append(_scalar(item))
                continue
            plain = _plain(item)
            flat = _flat(plain) if type(plain) not in _SCALARS else _scalar(plain)
            if flat is not None:
                out.append(flat)
                continue
            if id(item) in inside:
                raise ParameterError(f"a {kind.__qualname__!r} contains itself", "pass plain data without loops")
            open_.append((rest, identity, end))
            inside.add(id(item))
            rest, identity, end = _enter(plain, id(item), out)
            break
        else:
            out.append(end)
            inside.discard(identity)
            if not open_:
                return b"".join(out)
            rest, identity, end = open_.pop()


def _enter(plain: Any, identity: int, out: list[bytes]) -> tuple[Iterator[Any], int, bytes]:
    if type(plain) is list:
        if len(plain) >= _MAX_WIDTH:
            raise ParameterError(f"a list of {len(plain)} values is too long", "hand it on as an artifact")
        out.append(b"[" + len(plain).to_bytes(4, "little"))
        return iter(plain), identity, b""
    out.append(b"{")
    return (part for key in sorted(plain) for part in (key, plain[key])), identity, b"0"


def _plain(item: Any) -> Any:
    """`item` as the plain base type of which it is an instance."""
    if isinstance(item, dict | MappingProxyType):
        keys = {_text(key): value for key, value in item.items()}
        if len(keys) != len(item):
            raise ParameterError(f"two keys of a mapping read the same: {list(item)[:5]!r}", "give them distinct texts")
        return keys
    if isinstance(item, list | tuple):
        return list(item)
    if isinstance(item, str):
        return str.__str__(item)
    if isinstance(item, float):
        return float(item)
    if isinstance(item, int):
        return int(item)
    if isinstance(item, bytes):
        return bytes(item)
    kind = f"{type(item).__module__}:{type(item).__qualname__}"
    hint = "use None, bool, int, float, str, bytes, lists and dicts"
    raise ParameterError(f"a value of type {kind!r} is no plain data", hint)


def _text(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise ParameterError(f"the key {key!r} of a mapping is no text", "use texts as keys")
