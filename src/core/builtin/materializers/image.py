"""The `image` and `figure` materializers: pictures of PIL and plots of matplotlib as PNG."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Reader, Writer

MODES = frozenset({"1", "L", "LA", "RGB", "RGBA"})
"""Modes of PIL that PNG holds exactly."""
THUMBNAIL = (96, 64, 32)
"""Edges in pixels that are tried until the thumbnail is small enough."""
SMALL = 1400
"""Bytes of a thumbnail, about 2 KB as text."""


class ImageMaterializer(Materializer):
    """Pictures of `PIL`, pixel for pixel; other modes are left to the pickle."""

    name = "image"

    def accepts(self, value: Any) -> bool:
        """Only modes that PNG holds, of one frame and at least one pixel."""
        return value.mode in MODES and getattr(value, "n_frames", 1) == 1 and 0 not in value.size

    def save(self, value: Any, out: Writer) -> None:
        """Write a PNG."""
        buffer = BytesIO()
        value.save(buffer, "PNG", compress_level=1)
        out.write(buffer.getbuffer())

    def load(self, source: Reader) -> Any:
        """A `PIL.Image.Image`."""
        from PIL import Image  # optional: the value says that it was there

        with Image.open(BytesIO(source.read())) as image:
            return image.copy() if type(image) is Image.Image else image.convert(image.mode)

    def preview(self, value: Any) -> dict[str, Any]:
        """Size, mode and a thumbnail."""
        return {"shape": list(value.size), "mode": value.mode, "png": _thumbnail(value)}


class FigureMaterializer(Materializer):
    """Figures of matplotlib, as the picture that they show: what loads is an image, not a figure."""

    name = "figure"

    def save(self, value: Any, out: Writer) -> None:
        """Write a PNG, without the version that matplotlib would note in it."""
        buffer = BytesIO()
        value.savefig(buffer, format="png", metadata={"Software": None})
        out.write(buffer.getbuffer())

    def load(self, source: Reader) -> Any:
        """A `PIL.Image.Image`, or the bytes of the PNG where Pillow is missing."""
        try:
            from PIL import Image  # optional
        except ImportError:
            return source.read()
        with Image.open(BytesIO(source.read())) as image:
            return image.convert("RGBA")

    def preview(self, value: Any) -> dict[str, Any]:
        """Size in inches, titles, and a thumbnail."""
        from PIL import Image  # matplotlib needs it

        buffer = BytesIO()
        value.savefig(buffer, format="png", dpi=30)
        titles = [axes.get_title()[:80] for axes in value.axes][:5]
        return {
            "inches": [float(edge) for edge in value.get_size_inches()],
            "titles": titles,
            "png": _thumbnail(Image.open(buffer)),
        }


def _thumbnail(image: Any) -> str:
    """A PNG in base64; empty when even the smallest is too big."""
    for edge in THUMBNAIL:
        small = image.convert("RGB")
        small.thumbnail((edge, edge))
        buffer = BytesIO()
        small.quantize(32).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= SMALL:
            return b64encode(buffer.getvalue()).decode()
    return ""
