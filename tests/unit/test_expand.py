"""Mapped steps become their instances: shapes, instances, rewiring; by hand, without a scheduler."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ExpansionError
from core.model.expand import expand_graph, instances, lacking, ready_to_expand, rewire, shape_of, size
from core.model.graph import EACH, WHEN, Collect, Constant, Edge, Graph, Node, parse, present

LISTS = Edge("files", "output")


def node(name: str, **fields: Any) -> Node:
    return Node(
        name,
        f"m:{name.partition('[')[0]}",
        fields.pop("inputs", {}),
        fields.pop("parameters", {}),
        ("output",),
        **fields,
    )


def mapped(name: str, depth: int = 1, **inputs: Any) -> Node:
    return node(name, inputs=inputs, each=tuple(inputs), depth=depth)


def items(value: list[Any], place: str = "output") -> dict[str, Any]:
    """The outputs of a node that gave `value`, whose items are walked as deep as there are lists."""
    found = {place: value}
    for index, item in enumerate(value):
        here = f"{place}[{index}]"
        found |= items(item, here) if isinstance(item, list) else {here: item}
    return found


def ids(nodes: Any) -> list[str]:
    return [each.id for each in nodes]


def test_one_instance_for_each_item() -> None:
    clean = mapped("clean", file=LISTS)._replace(parameters={"strength": 2}, after=("setup",), options={"cache": False})
    shape = shape_of(clean, {"files": items(["a", "b"])}, {})
    assert shape == 2
    assert instances(clean, shape, {})[1] == node(
        "clean[1]",
        inputs={"file": Edge("files", "output[1]")},
        parameters={"strength": 2},
        after=("setup",),
        options={"cache": False},
        template="clean",
    )


def test_nothing_to_map_over_gives_no_instance_and_an_empty_list() -> None:
    clean = mapped("clean", file=LISTS)
    assert shape_of(clean, {"files": items([])}, {}) == 0
    assert instances(clean, 0, {}) == ()
    total = node("total", inputs={"parts": Edge("clean", "output")}, after=("clean",))
    assert rewire(total, {"clean": 0}) == node("total", inputs={"parts": Collect("list", ())})


def test_lists_in_lists() -> None:
    square, outputs = mapped("square", 2, x=LISTS), {"files": items([[1, 2], [], [3]])}
    shape = shape_of(square, outputs, {})
    assert shape == [2, 0, 1]
    assert size(shape) == 3
    made = instances(square, shape, {})
    assert ids(made) == ["square[0][0]", "square[0][1]", "square[2][0]"]
    assert made[2].inputs == {"x": Edge("files", "output[2][0]")}
    row = mapped("row", parts=Edge("square", "output"))
    assert shape_of(row, {}, {"square": shape}) == 3
    rows = instances(row, 3, {"square": shape})
    assert rows[0].inputs == {"parts": Collect("list", tuple(("", Edge(f"square[0][{i}]", "output")) for i in (0, 1)))}
    assert rows[1].inputs == {"parts": Collect("list", ())}
    again = mapped("again", 2, x=Edge("square", "output"))
    assert shape_of(again, {}, {"square": shape}) == shape
    assert instances(again, shape, {"square": shape})[1].inputs == {"x": Edge("square[0][1]", "output")}


def test_a_map_over_the_results_of_a_map_follows_item_by_item() -> None:
    after = mapped("after", x=Edge("clean", "output"))._replace(after=("setup",))
    assert not ready_to_expand(after, {"setup"}, {})
    assert not ready_to_expand(after, set(), {"clean": 2})
    assert ready_to_expand(after, {"setup"}, {"clean": 2})
    assert not ready_to_expand(after._replace(when=Edge("setup", "output")), {"setup"}, {"clean": 2})
    assert instances(after, 2, {"clean": 2})[1].inputs == {"x": Edge("clean[1]", "output")}


def test_a_map_into_the_results_of_a_map_waits_for_them() -> None:
    deeper = mapped("deeper", 2, x=Edge("clean", "output"))
    assert not ready_to_expand(deeper, {"clean[0]"}, {"clean": 2})
    assert ready_to_expand(deeper, {"clean[0]", "clean[1]"}, {"clean": 2})
    outputs = {"clean[0]": items([1, 2]), "clean[1]": items([])}
    assert shape_of(deeper, outputs, {"clean": 2}) == [2, 0]
    assert shape_of(deeper, {"clean[0]": items([1])}, {"clean": 2}) == [1, 0]  # clean[1] was skipped on purpose
    assert instances(deeper, [2, 0], {"clean": 2})[1].inputs == {"x": Edge("clean[0]", "output[1]")}


def test_several_are_walked_side_by_side_known_lists_too() -> None:
    both = mapped("both", x=LISTS, y=Collect("list", (("", Edge("one", "output")), ("", Constant(2)))))
    both = both._replace(each=("x", "y", "z"), parameters={"z": ["p", "q"], "k": 1})
    outputs = {"files": items([1, 2]), "one": {"output": 1}}
    made = instances(both, shape_of(both, outputs, {}), {})
    assert made[0].inputs == {"x": Edge("files", "output[0]"), "y": Edge("one", "output")}
    assert made[1].inputs == {"x": Edge("files", "output[1]")}
    assert [each.parameters for each in made] == [{"z": "p", "k": 1}, {"y": 2, "z": "q", "k": 1}]
    with pytest.raises(ExpansionError, match="different lengths: 'x' has 3, 'y' has 2, 'z' has 2"):
        shape_of(both, {"files": items([1, 2, 3])}, {})
    inner = mapped("inner", 2, x=LISTS, y=Edge("more", "output"))
    with pytest.raises(ExpansionError, match=r"in item \[1\]: 'x' has 1, 'y' has 2"):
        shape_of(inner, {"files": items([[1], [2]]), "more": items([[1], [2, 3]])}, {})


def test_more_than_the_limit_is_refused() -> None:
    clean = mapped("clean", 2, file=LISTS)
    outputs = {"files": items([[0] * 700, [0] * 301])}
    with pytest.raises(
        ExpansionError, match=r"'clean' would be called 1001 times.*'files'.*map_limit is 1000"
    ) as caught:
        shape_of(clean, outputs, {})
    assert "map_limit=1001" in caught.value.hint
    assert shape_of(clean, outputs, {}, limit=1001) == [700, 301]


def test_a_condition_for_all_and_one_for_each() -> None:
    deploy = mapped("deploy", x=LISTS)._replace(when=Edge("good", "output"))
    assert instances(deploy, 1, {})[0].when is None  # it held
    assert instances(deploy, 1, {})[0].after == ("good",)
    inputs = {"x": Edge("clean", "output"), WHEN: Edge("good", "output")}
    made = instances(mapped("deploy", **inputs), 2, {"clean": 2, "good": 2})
    assert made[1].inputs == {"x": Edge("clean[1]", "output")}
    assert made[1].when == Edge("good[1]", "output")
    with pytest.raises(ExpansionError, match="'x' has 2, its condition has 1"):
        shape_of(mapped("deploy", **inputs), {}, {"clean": 2, "good": 1})


def test_several_outputs_come_together_again() -> None:
    whole = Collect(f"{EACH}m:Parts", (("a", Edge("split", "a")), ("b", Edge("split", "b"))))
    parts = [Collect("m:Parts", (("a", Edge(f"split[{i}]", "a")), ("b", Edge(f"split[{i}]", "b")))) for i in (0, 1)]
    taker = node("taker", inputs={"all": whole, "one": Edge("x", "output")})
    assert rewire(taker, {"split": 2}).inputs["all"] == Collect("list", tuple(("", part) for part in parts))
    assert rewire(taker, {"other": 2}) is taker
    assert instances(mapped("use", p=whole), 2, {"split": 2})[1].inputs == {"p": parts[1]}


def test_what_can_do_without_a_step_that_was_skipped_on_purpose() -> None:
    url = Edge("deploy", "output")
    assert lacking(node("a", inputs={"url": url}), {"deploy"}) == "deploy"
    assert lacking(node("a", inputs={"url": url}, optional=("url",)), {"deploy"}) == ""
    assert lacking(node("a", inputs={"url": Collect("list", (("", url),))}), {"deploy"}) == ""
    assert lacking(node("a", inputs={"url": Collect("tuple", (("", url),))}), {"deploy"}) == "deploy"
    assert lacking(node("a", when=url), {"deploy"}) == "deploy"
    assert lacking(node("a", after=("deploy",)), {"deploy"}) == ""
    assert lacking(mapped("a", url=url)._replace(optional=("url",)), {"deploy"}) == "deploy"  # no list, no calls


def test_what_is_left_of_a_binding() -> None:
    edges = [Edge(name, "output") for name in "ab"]
    both = Collect("list", tuple(("", edge) for edge in edges))
    assert present(both, {"a", "b"}) is both
    assert present(both, {"a"}) == Collect("list", (("", edges[0]),))
    assert present(both, set()) == Collect("list", ())
    assert present(Collect("tuple", both.items), {"a"}) is None
    assert present(Collect("dict", (("x", both), ("y", edges[1]))), {"a"}) == Collect(
        "dict", (("x", Collect("list", (("", edges[0]),))),)
    )


def test_the_whole_graph() -> None:
    graph = Graph(
        "p",
        (
            node("files", walked={"output": 1}),
            mapped("clean", file=LISTS),
            node("total", inputs={"parts": Edge("clean", "output")}),
            mapped("later", x=Edge("clean", "output")),
        ),
        outputs={"output": Edge("later", "output")},
    )
    assert expand_graph(graph, {}) is graph
    grown = expand_graph(graph, {"clean": 2})
    assert ids(grown.nodes) == ["files", "clean[0]", "clean[1]", "total", "later"]
    assert set(grown.by_id["later"].upstream()) == {"clean[0]", "clean[1]"}
    assert parse(grown.json) == grown
    assert expand_graph(grown, {"clean": 2, "later": 2}) == expand_graph(graph, {"clean": 2, "later": 2})


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=4))
def test_any_nested_list_gives_an_instance_for_each_leaf(value: list[list[int]]) -> None:
    square = mapped("square", 2, x=LISTS)
    shape = shape_of(square, {"files": items(value)}, {})
    assert shape == [len(row) for row in value]
    made = instances(square, shape, {})
    assert len(made) == len(set(ids(made))) == size(shape)
    given_items = items(value)
    assert [given_items[each.inputs["x"].output] for each in made] == [leaf for row in value for leaf in row]


def test_ten_times_as_many_take_ten_times_as_long() -> None:
    def seconds(count: int) -> float:
        outputs = {"files": items(list(range(count)))}
        began = time.process_time()
        graph = Graph("p", (mapped("a", x=LISTS), mapped("b", x=Edge("a", "output"))))
        shapes = {"a": shape_of(graph.nodes[0], outputs, {}, limit=count)}
        shapes["b"] = shape_of(graph.nodes[1], outputs, shapes, limit=count)
        expand_graph(graph, shapes)
        return time.process_time() - began

    assert min(seconds(10_000) for _ in range(3)) < 25 * min(seconds(1000) for _ in range(5))
