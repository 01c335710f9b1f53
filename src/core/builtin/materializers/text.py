"""The `text` and `bytes` materializers: the bytes as they are."""

from __future__ import annotations

from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Reader, Writer

HEAD = 200
"""Characters of a text that the preview shows."""
SHORT = 32
"""Bytes that it shows."""
_MARKUP = frozenset({"core.markup:HTML", "core.markup:Markdown"})


class TextMaterializer(Materializer):
    """`str`, `HTML` and `Markdown`, in UTF-8; lone surrogates stay."""

    name = "text"

    def accepts(self, value: Any) -> bool:
        """Not for other subclasses of `str`: their class would be lost."""
        kind = type(value)
        return kind is str or f"{kind.__module__}:{kind.__qualname__}" in _MARKUP

    def save(self, value: Any, out: Writer) -> None:
        """Write the text."""
        out.write(value.encode("utf-8", "surrogatepass"))

    def load(self, source: Reader) -> Any:
        """The text, of the class that was saved."""
        text = source.read().decode("utf-8", "surrogatepass")
        if source.type not in _MARKUP:
            return text
        from core import markup  # start-up time: few outputs are markup

        return getattr(markup, source.type.partition(":")[2])(text)

    def preview(self, value: Any) -> dict[str, Any]:
        """The beginning."""
        return {"text": value[:HEAD]} if len(value) <= HEAD else {"text": value[:HEAD], "length": len(value)}


class BytesMaterializer(Materializer):
    """`bytes` and `bytearray`."""

    name = "bytes"

    def accepts(self, value: Any) -> bool:
        """Not for subclasses: their class would be lost."""
        return type(value) in {bytes, bytearray}

    def save(self, value: Any, out: Writer) -> None:
        """Write the bytes."""
        out.write(value)

    def load(self, source: Reader) -> Any:
        """The bytes, of the class that was saved."""
        data = source.read()
        return bytearray(data) if source.type == "builtins:bytearray" else data

    def preview(self, value: Any) -> dict[str, Any]:
        """Length and beginning in hex."""
        return {"length": len(value), "hex": bytes(value[:SHORT]).hex(" ")}
