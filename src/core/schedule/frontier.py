"""Which nodes are ready: those whose every upstream is settled, in the order of the graph; maps grow while it runs."""

from __future__ import annotations

from heapq import heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.model.expand import Shape
    from core.model.graph import Node


class Frontier:
    """The graph while it runs. A node is settled when it is done, reused, skipped, or has failed for good."""

    def __init__(self, nodes: Iterable[Node], settled: Iterable[str] = ()) -> None:
        self.nodes: dict[str, Node] = {}
        """By id; a mapped step is replaced by its instances once it is expanded."""
        self.shapes: dict[str, Shape] = {}
        """Of every mapped step that is expanded."""
        self._settled = set(settled)
        self._order: dict[str, tuple[int, int]] = {}
        self._waits: dict[str, int] = {}
        self._after: dict[str, list[str]] = {}
        self._ready: list[tuple[tuple[int, int], str]] = []
        for index, node in enumerate(nodes):
            self._add(node, (index, 0))

    def __bool__(self) -> bool:
        """Whether a node is ready."""
        return bool(self._ready)

    def pop(self) -> str:
        """The first node that is ready; it is the caller's from now on."""
        return heappop(self._ready)[1]

    def push(self, node: str) -> None:
        """Give back a node that `pop` gave."""
        heappush(self._ready, (self._order[node], node))

    def settle(self, node: str) -> None:
        """`node` is over; what waited for it alone becomes ready."""
        self._settled.add(node)
        for after in self._after.pop(node, ()):
            self._release(after)

    def grow(self, template: str, shape: Shape, instances: Iterable[Node]) -> list[str]:
        """Put `instances` in the place of a mapped step; gives the ids of the nodes that take from it."""
        index, place = self._order[template]
        del self.nodes[template]
        self._waits.pop(template, None)
        self.shapes[template] = shape
        takers = self._after.pop(template, [])
        open_ = []  # a resumed run has done some of them before
        for instance in instances:
            place += 1
            self._add(instance, (index, place))
            if instance.id not in self._settled:
                open_.append(instance.id)
        for taker in takers:
            self._waits[taker] += len(open_)
            for instance_id in open_:
                self._after.setdefault(instance_id, []).append(taker)
            self._release(taker)
        return takers

    def _add(self, node: Node, order: tuple[int, int]) -> None:
        name = node.id
        self.nodes[name] = node
        if name in self._settled:
            return
        self._order[name] = order
        waits = 0
        for upstream in set(node.upstream()):
            if upstream not in self._settled:
                waits += 1
                self._after.setdefault(upstream, []).append(name)
        self._waits[name] = waits
        if not waits:
            heappush(self._ready, (order, name))

    def _release(self, node: str) -> None:
        waits = self._waits.get(node)
        if waits is None:
            return  # a mapped step that did not have to wait for all of them
        self._waits[node] = waits - 1
        if waits == 1:
            heappush(self._ready, (self._order[node], node))
