"""The `polars` materializer: frames and series as Arrow IPC files."""

from __future__ import annotations

import polars as pl

from core.builtin.materializers.stream import Stream
from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Reader, Writer

COLUMNS = 20
ROWS = 3


class PolarsMaterializer(Materializer):
    """`DataFrame` and `Series`; columns of Python objects are left to the pickle."""

    name = "polars"

    def accepts(self, value: Any) -> bool:
        """Not for subclasses and objects."""
        if type(value) not in {pl.DataFrame, pl.Series}:
            return False
        return all(
            not dtype.is_object() for dtype in (value.dtypes if isinstance(value, pl.DataFrame) else [value.dtype])
        )

    def save(self, value: Any, out: Writer) -> None:
        """Write an IPC file."""
        frame = value.to_frame() if isinstance(value, pl.Series) else value
        file: Any = Stream(out)
        frame.write_ipc(file, compression="uncompressed")

    def load(self, source: Reader) -> Any:
        """The frame or series."""
        path = source.path()
        frame = pl.read_ipc(path if path is not None else source.read())
        return frame.to_series() if source.type.endswith(":Series") else frame

    def preview(self, value: Any) -> dict[str, Any]:
        """Shape, types and the first rows."""
        frame = value.to_frame() if isinstance(value, pl.Series) else value
        columns = {name[:60]: str(dtype)[:40] for name, dtype in list(frame.schema.items())[:COLUMNS]}
        head = [[str(item)[:24] for item in row[:COLUMNS]] for row in frame.head(ROWS).rows()]
        return {"shape": list(value.shape), "columns": columns, "head": head}
