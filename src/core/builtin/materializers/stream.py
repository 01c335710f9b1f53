"""A `Writer` as a file object, for libraries that write to one."""

from __future__ import annotations

from io import RawIOBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Writer


class Stream(RawIOBase):
    """Write-only and not seekable; closing it leaves the writer open."""

    def __init__(self, out: Writer) -> None:
        super().__init__()
        self._out = out
        self._at = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Bytes written so far."""
        return self._at

    def write(self, data: Any, /) -> int:
        """Append `data`, any contiguous buffer."""
        length = self._out.write(data if isinstance(data, bytes) else memoryview(data).cast("B"))
        self._at += length
        return length
