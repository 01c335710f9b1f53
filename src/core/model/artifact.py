"""An output's bytes as a value: digest, size, type, and where they lie."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

from core.model.nothing import NOTHING
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class ArtifactRef(Value):
    """Points to the immutable bytes of one output."""

    digest: str
    """`blake3:` and hex: names the bytes and proves them."""
    size: int
    """Bytes, those of the parts included."""
    type: str
    """`module:qualname` of the value's class."""
    materializer: str
    """Name of the materializer that wrote it, such as `json` or `numpy`."""
    store: str = ""
    """URI of the artifact store that holds the bytes or the parts; empty when all is inline."""
    inline: bytes | None = None
    """The bytes themselves when they are few."""
    parts: tuple[str, ...] = ()
    """Digests of further blobs that the first one names (nested values, files of a folder)."""
    preview: Mapping[str, Any] = NOTHING
    """Small plain data for people: shape, dtypes, head, thumbnail, text."""

    @property
    def identity(self) -> str:
        """The value in one word, for cache keys: the bytes alone do not tell the text `1` from the number 1."""
        return f"{self.digest} {self.materializer} {self.type}"

    def to_data(self) -> dict[str, Any]:
        """Plain data; `text` or `base64` holds inline bytes, empty fields are left out."""
        data: dict[str, Any] = {
            "digest": self.digest,
            "size": self.size,
            "type": self.type,
            "materializer": self.materializer,
        }
        if self.inline is not None:
            try:
                data["text"] = self.inline.decode()
            except UnicodeDecodeError:
                data["base64"] = b2a_base64(self.inline, newline=False).decode()
        if self.store:
            data["store"] = self.store
        if self.parts:
            data["parts"] = list(self.parts)
        if self.preview:
            data["preview"] = dict(self.preview)
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ArtifactRef:
        """The reference that `to_data` wrote."""
        inline = data["text"].encode() if "text" in data else a2b_base64(data["base64"]) if "base64" in data else None
        return cls(
            digest=data["digest"],
            size=data["size"],
            type=data["type"],
            materializer=data["materializer"],
            store=data.get("store", ""),
            inline=inline,
            parts=tuple(data.get("parts", ())),
            preview=data.get("preview", {}),
        )
