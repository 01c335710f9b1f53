"""What a step call gives while a pipeline is compiled: stands for an output that does not exist yet."""

from __future__ import annotations

from core.errors import CompileError
from core.model.graph import Collect, Edge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn


class Ref:
    """One output of a node. Pass it to another step; everything else that Python could do with it is refused."""

    __slots__ = ("annotation", "edge")
    _HINT = "pass it to a step, and do this with its value there"

    def __init__(self, edge: Edge, annotation: Any) -> None:
        self.edge = edge
        self.annotation = annotation

    def __repr__(self) -> str:
        """For debuggers: `<output 'model' of step 'train'>`."""
        return f"<output {self.edge.output!r} of step {self.edge.node!r}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # protocols such as copy and numpy ask; they must hear "no", not an explanation
        raise _mixed(self, f"its attribute {name!r} was asked for")


def _mixed(ref: Ref | Fields, what: str) -> CompileError:
    return CompileError(f"{ref!r} has no value while the pipeline is compiled, but {what}", ref._HINT)


def _refuse(operation: str) -> Callable[..., NoReturn]:
    def refuse(self: Ref, *_: object) -> NoReturn:
        raise _mixed(self, f"it was used in {operation}")

    return refuse


_OPERATIONS = {
    "a condition (`if`, `while`, `and`, `or`, `not`)": "bool",
    "a comparison": "eq ne lt le gt ge",
    "arithmetic": "add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow matmul rmatmul "
    "neg pos abs and rand or ror xor rxor invert lshift rlshift rshift rrshift round divmod rdivmod",
    "a loop, or was unpacked": "iter",
    "`len()`": "len",
    "indexing (`x[...]`)": "getitem setitem delitem",
    "`in`": "contains",
    "a call": "call",
    "a conversion to a number": "int float complex index",
    "a text (f-string or `format`)": "format",
    "`with`": "enter exit",
    "`await`": "await",
}
for _text, _names in _OPERATIONS.items():
    for _name in _names.split():
        setattr(Ref, f"__{_name}__", _refuse(_text))
Ref.__hash__ = object.__hash__  # type: ignore[method-assign]  # identity: a Ref may stand in a set or as a key


class Fields:
    """The outputs of a step that returns a NamedTuple or dataclass: a Ref by field, or the whole."""

    __slots__ = ("_container", "_kind", "_refs")
    _HINT = Ref._HINT

    def __init__(self, container: type, kind: str, refs: dict[str, Ref]) -> None:
        self._container = container
        self._kind = kind
        self._refs = refs

    @property
    def annotation(self) -> Any:
        """The NamedTuple or dataclass."""
        return self._container

    @property
    def binding(self) -> Collect:
        """The whole value, put together again from its fields."""
        return Collect(self._kind, tuple((name, ref.edge) for name, ref in self._refs.items()))

    def __repr__(self) -> str:
        """For debuggers."""
        return f"<{self._container.__name__} of {', '.join(map(repr, self._refs.values()))}>"

    def __getattr__(self, name: str) -> Ref:
        if name in self._refs:
            return self._refs[name]
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        raise _mixed(self, f"{name!r} is none of its fields ({', '.join(self._refs)})")

    def __iter__(self) -> Iterator[Ref]:
        if not issubclass(self._container, tuple):
            raise _mixed(self, "it was used in a loop, or was unpacked")
        return iter(self._refs.values())

    def __getitem__(self, index: int) -> Ref:
        if not issubclass(self._container, tuple):
            raise _mixed(self, "it was used in indexing (`x[...]`)")
        return list(self._refs.values())[index]

    def __bool__(self) -> bool:
        raise _mixed(self, "it was used in a condition (`if`, `while`, `and`, `or`, `not`)")
