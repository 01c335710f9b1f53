"""The `torch` materializer: tensors and flat state dicts as safetensors; `torch-pickle` for what those cannot hold."""

from __future__ import annotations

import json
from importlib.util import find_spec

import torch

from core.builtin.materializers.stream import Stream
from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.materializer import Reader, Writer

HEAD = 8
ROWS = 20
_ALONE = "tensor"
"""Name of the one tensor in the file when the value is a tensor."""
_DTYPES = frozenset(
    {
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
        torch.uint8, torch.bool,
    }
)  # fmt: skip


class TorchMaterializer(Materializer):
    """Dense tensors, and dicts with text keys of them. Loaded to the CPU; `requires_grad` and order stay."""

    name = "torch"

    def accepts(self, value: Any) -> bool:
        """Whether every tensor is dense, on its own memory and of a dtype that safetensors has."""
        if find_spec("safetensors") is None:
            return False
        if type(value) is torch.Tensor:
            return _simple(value)
        if not isinstance(value, dict) or not value or not all(type(key) is str for key in value):
            return False
        if not all(type(item) is torch.Tensor and _simple(item) for item in value.values()):
            return False
        memories = {item.untyped_storage().data_ptr() for item in value.values()}
        return len(memories) == len(value) and _meta(value) is not None

    def save(self, value: Any, out: Writer) -> None:
        """Write a safetensors file."""
        from safetensors.torch import save  # optional

        tensors = value if isinstance(value, dict) else {_ALONE: value}
        notes: dict[str, Any] = {"grad": [key for key, item in tensors.items() if item.requires_grad]}
        if isinstance(value, dict):
            notes |= {"order": list(value), "state": _meta(value)}
        plain = {key: item.detach().cpu().contiguous() for key, item in tensors.items()}
        out.write(save(plain, {"core": json.dumps(notes)}))

    def load(self, source: Reader) -> Any:
        """The tensor or dict, of the class that was saved."""
        from safetensors.torch import load  # optional

        data = source.read()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        notes = json.loads(header["__metadata__"]["core"])
        tensors = load(data)
        for key in notes["grad"]:
            tensors[key].requires_grad_()
        if "order" not in notes:
            return tensors[_ALONE]
        if source.type == "builtins:dict":
            return {key: tensors[key] for key in notes["order"]}
        from collections import OrderedDict

        made: Any = OrderedDict((key, tensors[key]) for key in notes["order"])
        if notes["state"]:
            made._metadata = OrderedDict(notes["state"])
        return made

    def preview(self, value: Any) -> dict[str, Any]:
        """Shapes and dtypes."""
        if isinstance(value, dict):
            return {"length": len(value), "head": {key[:60]: _text(value[key]) for key in list(value)[:ROWS]}}
        head = [str(item) for item in value.detach().flatten()[:HEAD].tolist()]
        return {"shape": list(value.shape), "dtype": str(value.dtype), "head": head}


class TorchPickleMaterializer(Materializer):
    """Modules and unusual tensors, with `torch.save`."""

    name = "torch-pickle"
    pickles = True

    def save(self, value: Any, out: Writer) -> None:
        """Write torch's zip; classes of the running program by their file's module name."""
        from core.builtin.materializers import pickle

        pickle.refuse(value)
        try:
            file: Any = Stream(out)
            torch.save(value, file, pickle_module=pickle)
        except Exception as error:  # border of people's own classes: whatever their reduction raises
            raise pickle.cannot(value, error) from error

    def load(self, source: Reader) -> Any:
        """The module or tensor, on the CPU."""
        import pickle  # torch wants the module itself

        with source.open() as file:
            return torch.load(file, map_location="cpu", weights_only=False, pickle_module=pickle)

    def preview(self, value: Any) -> dict[str, Any]:
        """The module as torch prints it."""
        return {"text": _text(value) if isinstance(value, torch.Tensor) else repr(value)[:1000]}


def _simple(tensor: Any) -> bool:
    """Whether safetensors would change nothing but the device: dense, a leaf, without attributes of its own."""
    if tensor.layout != torch.strided or tensor.dtype not in _DTYPES or tensor.is_quantized or tensor.__dict__:
        return False
    return bool(tensor.is_leaf and not tensor.is_conj() and not tensor.is_neg())


def _meta(value: Any) -> Any:
    """The versions that a state dict carries, as JSON pairs; None when JSON would change them."""
    extra = getattr(value, "__dict__", None) or {}
    if set(extra) - {"_metadata"}:
        return None
    pairs = [[key, item] for key, item in extra.get("_metadata", {}).items()]
    try:
        return pairs if json.loads(json.dumps(pairs)) == pairs else None
    except (TypeError, ValueError):
        return None


def _text(tensor: Any) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"
