"""What a mapped step gives while a pipeline is compiled: a list of an output, of a length known only when it runs."""

from __future__ import annotations

from core.model.graph import EACH, Collect
from core.model.ref import Fields, Ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.model.graph import Edge


class Many(Ref):
    """One output of every instance of a mapped step; a list in a list for each level that the map walks."""

    __slots__ = ("_depth", "_item")
    _HINT = "pass it whole to a step that takes a list, or to `.map()` of a step for one call an item"

    def __init__(self, edge: Edge, item: Any, depth: int) -> None:
        super().__init__(edge, nested(item, depth))
        self._item = item
        """Annotation of what one instance gives."""
        self._depth = depth

    def __repr__(self) -> str:
        """For debuggers: `<list of output 'score' of mapped step 'fit'>`."""
        return f"<list of output {self.edge.output!r} of mapped step {self.edge.node!r}>"


class ManyFields(Fields):
    """The outputs of a mapped step that has several: a list for each of them, or the whole, one list of all."""

    __slots__ = ("_depth", "_item")
    _HINT = Many._HINT

    def __init__(self, container: type, kind: str, refs: dict[str, Many], item: Any, depth: int) -> None:
        super().__init__(container, kind, dict(refs))
        self._item = item
        """Annotation of what one instance gives."""
        self._depth = depth

    @property
    def annotation(self) -> Any:
        """A list of what the step returns."""
        return nested(self._item, self._depth)

    @property
    def binding(self) -> Collect:
        """The list of what each instance returned, put together again from its outputs."""
        return Collect(EACH + self._kind, tuple((name, ref.edge) for name, ref in self._refs.items()))


def nested(item: Any, depth: int) -> Any:
    """`list[list[item]]` for depth 2."""
    for _ in range(depth):
        item = list[item]
    return item
