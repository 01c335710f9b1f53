"""Lets steps return `array.array`: one letter for the kind of item, then the items as they lie in memory."""

from __future__ import annotations

import sys
from array import array
from typing import Any

from core.plugins import hookimpl
from core.ports.materializer import Materializer, Reader, Writer


class ArrayMaterializer(Materializer):
    """Items are stored little-endian on every machine."""

    name = "array"
    types = ("array:array",)

    def save(self, value: array[Any], out: Writer) -> None:
        items = value[:]
        if sys.byteorder == "big":
            items.byteswap()
        out.write(value.typecode.encode() + items.tobytes())

    def load(self, source: Reader) -> array[Any]:
        data = source.read()
        items = array(data[:1].decode(), data[1:])
        if sys.byteorder == "big":
            items.byteswap()
        return items

    def preview(self, value: array[Any]) -> dict[str, Any]:
        return {"length": len(value), "head": [str(item) for item in value[:5]]}


@hookimpl
def core_materializers() -> list[type[Materializer]]:
    return [ArrayMaterializer]
