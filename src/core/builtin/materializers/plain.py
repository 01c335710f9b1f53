"""The `json` materializer: scalars, containers, dataclasses, pydantic models and small standard types as JSON."""

from __future__ import annotations

from itertools import islice
from json import JSONDecoder, JSONEncoder

from core.builtin.materializers.tree import MARK, PLAIN, Decode, Encode, takes
from core.errors import OutputError
from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Reader, Writer

HEAD = 5
"""Items of a container that the preview shows."""
WIDTH = 60
"""Characters of one item that it shows."""

LARGE = 10**WIDTH
SMALL = frozenset({"builtins", "datetime", "decimal", "fractions", "numpy", "uuid"})
"""Modules whose values have a short text."""

_dumps = JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_loads = JSONDecoder().decode


class JsonMaterializer(Materializer):
    """Plain values are plain JSON; others are objects with the key `$` that names what they are (see `tree`)."""

    name = "json"

    def accepts(self, value: Any) -> bool:
        """Whether the very class comes back: subclasses of the standard types without a form here do not."""
        return type(value) in PLAIN or takes(value)

    def save(self, value: Any, out: Writer) -> None:
        """Write JSON in UTF-8; lone surrogates stay."""
        encode = Encode(out)
        try:
            text = _dumps(value if type(value) in PLAIN else encode.tree(value))
        except ValueError:  # an integer of more digits than Python turns into text
            text = _dumps(Encode(out, big=True).tree(value))
        except OutputError as error:
            raise _placed(error, value, encode.refused) from error
        out.write(text.encode("utf-8", "surrogatepass"))

    def load(self, source: Reader) -> Any:
        """The value; classes are found by their names."""
        text = source.read().decode("utf-8", "surrogatepass")
        return JSONDecoder(object_hook=Decode(source).hook).decode(text) if f'"{MARK}"' in text else _loads(text)

    def preview(self, value: Any) -> dict[str, Any]:
        """The value's text, or length and head of a container."""
        if isinstance(value, dict):
            return {"length": len(value), "head": {_short(key): _short(value[key]) for key in islice(value, HEAD)}}
        if isinstance(value, list | tuple | set | frozenset | range):
            return {"length": len(value), "head": [_short(item) for item in islice(value, HEAD)]}
        return {"text": _short(value)}


def _placed(error: OutputError, value: Any, part: Any) -> OutputError:
    """`error`, which `part` of `value` met, with the place of the part."""
    from core.builtin.materializers.pickle import place_of  # start-up time: only an error needs it

    return OutputError(f"its item {place_of(value, part)}: {error.message}", error.hint)


def _short(value: Any) -> str:
    """At most `WIDTH` characters of a scalar; only the kind and length of a container, whose repr could be huge."""
    kind = type(value)
    if kind is str:
        return repr(value) if len(value) <= WIDTH else repr(value[:WIDTH])
    if kind is int:
        return repr(value) if -LARGE < value < LARGE else f"int of {value.bit_length()} bits"
    if kind in PLAIN:
        return repr(value)
    if hasattr(value, "__len__"):
        return f"{kind.__name__} of length {len(value)}"
    return repr(value)[:WIDTH] if kind.__module__ in SMALL else kind.__name__
