"""The `numpy` materializer: arrays as .npy files, loaded as private memory maps where the store has files."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from core.builtin.materializers.stream import Stream
from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Reader, Writer

MAP = 64 << 10
"""Bytes from which an array is mapped instead of read."""
BLOCK = 16 << 20
"""Bytes that are copied at once out of an array that does not lie in one piece."""
HEAD = 8
"""Items that the preview shows."""


class NumpyMaterializer(Materializer):
    """Arrays and scalars of every fixed-size dtype; those of Python objects are left to the pickle."""

    name = "numpy"

    def accepts(self, value: Any) -> bool:
        """Plain arrays (a memory map counts as one) and scalars whose dtype a .npy header can tell."""
        if isinstance(value, np.ndarray) and type(value) not in {np.ndarray, np.memmap}:
            return False
        dtype = value.dtype
        if dtype.hasobject or dtype.metadata is not None or dtype.kind not in "biufcSUVMm":
            return False
        try:
            return bool(np.dtype(np.lib.format.descr_to_dtype(np.lib.format.dtype_to_descr(dtype))) == dtype)
        except (TypeError, ValueError):
            return False

    def save(self, value: Any, out: Writer) -> None:
        """Write header and buffer; an array in one piece is not copied."""
        array = np.asanyarray(value)
        if array.dtype.names is not None or array.dtype.kind == "V":
            np.lib.format.write_array(Stream(out), array, allow_pickle=False)
            return
        header = BytesIO()
        np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
        out.write(header.getvalue())
        if not array.size or not array.itemsize:
            return
        flat = array if array.flags.c_contiguous else array.T
        if flat.flags.c_contiguous:
            out.write(flat.reshape(-1).view(np.uint8).data)
            return
        rows = max(1, BLOCK * len(array) // array.nbytes)
        for start in range(0, len(array), rows):
            block = np.ascontiguousarray(array[start : start + rows])
            out.write(block.reshape(-1).view(np.uint8).data)

    def load(self, source: Reader) -> Any:
        """The array: a copy-on-write map of the stored file, or memory of its own; writable either way."""
        path = source.path()
        if path is not None and source.type in {"numpy:ndarray", "numpy:memmap"}:
            with source.open() as file:
                small = file.seek(0, 2) < MAP
            if not small:
                # a plain array over the map: a memmap's own class would show up in types and in pickles
                return np.load(path, mmap_mode="c", allow_pickle=False).view(np.ndarray)
        array = np.load(BytesIO(source.read()), allow_pickle=False)
        return array if source.type in {"numpy:ndarray", "numpy:memmap"} else array[()]

    def preview(self, value: Any) -> dict[str, Any]:
        """Shape, dtype and the first items."""
        head = [str(item)[:40] for item in np.asanyarray(value).flat[:HEAD]]
        return {"shape": list(value.shape), "dtype": str(value.dtype)[:200], "head": head}
