"""The `skops` materializer: scikit-learn's estimators without a pickle, where skops knows every type inside."""

from __future__ import annotations

import json
from importlib.util import find_spec
from io import BytesIO
from threading import local
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from core.errors import MissingDependencyError
from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Reader, Writer


class SkopsMaterializer(Materializer):
    """Estimators whose parts are all of types that skops trusts; own classes inside are left to the pickle."""

    name = "skops"

    def __init__(self) -> None:
        self._written = local()

    def accepts(self, value: Any) -> bool:
        """Whether skops can write it and would read it back unasked; keeps the bytes for `save`."""
        if find_spec("skops") is None:
            return False
        from skops import io  # optional

        try:
            data = io.dumps(value)
            if io.get_untrusted_types(data=data):
                return False
        except Exception:  # noqa: BLE001 - border of a library: whatever it can't write, the pickle takes
            return False
        self._written.last = (value, data)
        return True

    def save(self, value: Any, out: Writer) -> None:
        """Write skops' zip, made the same for equal estimators."""
        from skops import io  # optional

        last = self._written.__dict__.pop("last", None)
        out.write(_steady(last[1] if last is not None and last[0] is value else io.dumps(value)))

    def load(self, source: Reader) -> Any:
        """The estimator; types that skops does not trust are refused by it."""
        try:
            from skops import io  # optional
        except ImportError as error:
            raise MissingDependencyError(
                "a scikit-learn estimator was stored with skops, which is not installed", "pip install skops"
            ) from error
        return io.loads(source.read())

    def preview(self, value: Any) -> dict[str, Any]:
        """The estimator as scikit-learn prints it."""
        return {"text": repr(value)[:1000]}


def _steady(data: bytes) -> bytes:
    """The zip with object ids numbered in order and no times: both change from run to run for equal estimators."""
    with ZipFile(BytesIO(data)) as old:
        schema = json.loads(old.read("schema.json"))
        ids: dict[int, int] = {}
        files: dict[str, str] = {}
        schema = _renumber(schema, ids, files)
        out = BytesIO()
        with ZipFile(out, "w", ZIP_STORED) as new:
            new.writestr(ZipInfo("schema.json"), json.dumps(schema, separators=(",", ":")))
            for name in sorted(set(old.namelist()) - {"schema.json"}, key=lambda name: files.get(name, name)):
                new.writestr(ZipInfo(files.get(name, name)), old.read(name))
    return out.getvalue()


def _renumber(node: Any, ids: dict[int, int], files: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_renumber(item, ids, files) for item in node]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for key, item in node.items():
        if key == "__id__" and isinstance(item, int):
            made[key] = ids.setdefault(item, len(ids))
        elif key == "file" and isinstance(item, str):
            made[key] = files.setdefault(item, f"{len(files)}{item[item.rfind('.') :] if '.' in item else ''}")
        else:
            made[key] = _renumber(item, ids, files)
    return made
