"""The `arrow` materializer: pyarrow tables as Arrow IPC files; and the way in and out for other data frames."""

from __future__ import annotations

import pyarrow as pa

from core.builtin.materializers.stream import Stream
from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Reader, Writer

COLUMNS = 30
"""Columns that the preview shows."""


class ArrowMaterializer(Materializer):
    """`pyarrow.Table`, schema and metadata included; loaded as a map of the stored file where there is one."""

    name = "arrow"

    def save(self, value: Any, out: Writer) -> None:
        """Write an IPC file."""
        write_table(value, out)

    def load(self, source: Reader) -> Any:
        """The table."""
        return read_table(source)

    def preview(self, value: Any) -> dict[str, Any]:
        """Rows, and columns with their types."""
        columns = {field.name[:60]: str(field.type)[:60] for field in list(value.schema)[:COLUMNS]}
        return {"shape": [value.num_rows, value.num_columns], "columns": columns}


def write_table(table: Any, out: Writer) -> None:
    """Write `table` as an Arrow IPC file."""
    with pa.ipc.new_file(pa.PythonFile(Stream(out), mode="w"), table.schema) as writer:
        writer.write_table(table)


def read_table(source: Reader) -> Any:
    """The table of an Arrow IPC file."""
    path = source.path()
    data = pa.memory_map(path) if path is not None else pa.BufferReader(source.read())
    with pa.ipc.open_file(data) as reader:
        return reader.read_all()
