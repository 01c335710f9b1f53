"""The `pandas` materializer: frames and series as Arrow IPC files, only where every detail comes back."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pandas as pd

from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Reader, Writer

COLUMNS = 20
ROWS = 3
NOTES = b"core"
"""Key of the schema's metadata that holds what Arrow does not: the frequency of an index, a series' name."""
_KINDS = (pd.DataFrame, pd.Series)
_OBJECT = np.dtype(object)
_EXACT_OBJECTS = frozenset({"string", "bytes", "empty"})
"""Kinds of object columns (as pandas infers them) that Arrow gives back unchanged."""


class PandasMaterializer(Materializer):
    """`DataFrame` and `Series`. What Arrow would change (mixed objects, sparse, complex) is left to the pickle."""

    name = "pandas"

    def accepts(self, value: Any) -> bool:
        """Whether an empty frame of the same form survives the way there and back, and each object column would."""
        if type(value) not in _KINDS or find_spec("pyarrow") is None:
            return False
        try:
            frame, notes = _frame(value)
            rows = 1 if any(dtype == _OBJECT for dtype in _index_dtypes(value.index)) else 0
            back = _restore(_table(frame.iloc[:rows], notes), type(value).__name__)
        except Exception:  # noqa: BLE001 - border of a library: whatever it can't hold, the pickle takes
            return False
        return _same_form(value.iloc[:rows], back) and _exact_objects(frame)

    def save(self, value: Any, out: Writer) -> None:
        """Write an Arrow IPC file."""
        from core.builtin.materializers.arrow import write_table  # optional: pyarrow

        write_table(_table(*_frame(value)), out)

    def load(self, source: Reader) -> Any:
        """The frame or series."""
        from core.builtin.materializers.arrow import read_table  # optional: pyarrow

        return _restore(read_table(source), source.type.rpartition(":")[2])

    def preview(self, value: Any) -> dict[str, Any]:
        """Shape, dtypes and the first rows."""
        frame = value.to_frame() if isinstance(value, pd.Series) else value
        part = frame.iloc[:ROWS, :COLUMNS]
        columns = {str(key)[:60]: str(dtype)[:40] for key, dtype in zip(part.columns, part.dtypes, strict=True)}
        head = [[str(item)[:24] for item in row] for row in part.itertuples(index=False, name=None)]
        return {"shape": list(value.shape), "columns": columns, "head": head}


def _frame(value: Any) -> tuple[Any, dict[str, Any]]:
    """`value` as a frame, and notes on what a table does not hold."""
    notes = {"attrs": value.attrs} if value.attrs else {}
    freq = (
        getattr(value.index, "freqstr", None) if isinstance(value.index, pd.DatetimeIndex | pd.TimedeltaIndex) else None
    )
    if freq:
        notes["freq"] = freq
    if isinstance(value, pd.Series):
        frame = value.to_frame(name="value")
        notes["name"] = list(value.name) if isinstance(value.name, tuple) else value.name
        notes["tuple"] = isinstance(value.name, tuple)
    else:
        frame = value
    objects = [at for at, dtype in enumerate(frame.dtypes) if dtype == _OBJECT]
    if objects:
        notes["objects"] = objects
    columns: Any = frame.columns
    if type(columns) is pd.RangeIndex:
        notes["range"] = [columns.start, columns.stop, columns.step, columns.name]
    if value.attrs:
        frame = frame.copy(deep=False)
        frame.attrs = {}
    return frame, notes


def _table(frame: Any, notes: dict[str, Any]) -> Any:
    import pyarrow as pa  # optional

    table = pa.Table.from_pandas(frame)
    if notes:
        text = json.dumps(notes)
        if json.loads(text) != notes:
            message = "attrs or name that JSON would change"
            raise TypeError(message)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), NOTES: text.encode()})
    return table


def _restore(table: Any, kind: str) -> Any:
    text = (table.schema.metadata or {}).get(NOTES)
    notes = json.loads(text) if text else {}
    value = table.to_pandas()
    for at in notes.get("objects", ()):
        value.isetitem(at, pd.Series(table.column(at).to_pylist(), index=value.index, dtype=object))
    if "range" in notes:
        start, stop, step, name = notes["range"]
        value.columns = pd.RangeIndex(start, stop, step, name=name)
    if kind == "Series":
        value = value["value"]
        value.name = tuple(notes["name"]) if notes["tuple"] else notes["name"]
    if "freq" in notes:
        value.index.freq = notes["freq"]
    if "attrs" in notes:
        value.attrs = notes["attrs"]
    return value


def _same_form(one: Any, other: Any) -> bool:
    """Whether dtypes, index, column labels, names and attrs are equal, types included."""
    if type(one) is not type(other) or one.attrs != other.attrs:
        return False
    if isinstance(one, pd.Series):
        names = (type(one.name), one.name) == (type(other.name), other.name)
        return names and one.dtype == other.dtype and _same_index(one.index, other.index)
    return (
        list(one.dtypes) == list(other.dtypes)
        and _same_index(one.index, other.index)
        and _same_index(one.columns, other.columns)
        and [type(label) for label in one.columns] == [type(label) for label in other.columns]
    )


def _same_index(one: Any, other: Any) -> bool:
    same = type(one) is type(other) and list(one.names) == list(other.names)
    return bool(same and _index_dtypes(one) == _index_dtypes(other) and one.equals(other))


def _index_dtypes(index: Any) -> list[Any]:
    return list(index.dtypes) if isinstance(index, pd.MultiIndex) else [index.dtype]


def _exact_objects(frame: Any) -> bool:
    columns = [frame.iloc[:, at] for at, dtype in enumerate(frame.dtypes) if dtype == _OBJECT]
    levels = frame.index.levels if isinstance(frame.index, pd.MultiIndex) else [frame.index]
    return all(map(_exact, [*columns, *(level for level in levels if level.dtype == _OBJECT)]))


def _exact(column: Any) -> bool:
    """Whether an object column holds only text or only bytes; what is missing must be None: Arrow gives that back."""
    missing = column.isna()
    if missing.any() and any(item is not None for item in column[missing]):
        return False
    return pd.api.types.infer_dtype(column, skipna=True) in _EXACT_OBJECTS
