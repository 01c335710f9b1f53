"""Compiling: one call gives the graph, and whatever is no valid graph is refused with the steps' names."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import pytest

from core import Pipeline, pipeline, step
from core.errors import CompileError, CoreError, EdgeTypeError, ParameterError
from core.model.graph import Collect, Edge, from_data, parse, to_data


class Parts(NamedTuple):
    left: int
    right: str


@dataclass
class Pair:
    first: int
    second: float


@step
def one() -> int:
    return 1


@step
def text() -> str:
    return "x"


@step
def two() -> tuple[Annotated[int, "train"], Annotated[str, "test"]]:
    return 1, "a"


@step
def parts() -> Parts:
    return Parts(1, "b")


@step
def pair() -> Pair:
    return Pair(1, 2.0)


@step
def take(number: int, scale: float = 1.0) -> float:
    return number * scale


@step
def total(numbers: list[int]) -> int:
    return sum(numbers)


@step
def whole(parts: Parts) -> int:
    return parts.left


@step
def nothing() -> None: ...


@step
def many(*numbers: int, **named: int) -> int:
    return sum(numbers) + sum(named.values())


def graph_of(pipe: Pipeline[..., Any], **parameters: Any) -> Any:
    return pipe.compile(parameters).graph


def test_nodes_edges_and_parameters() -> None:
    @pipeline
    def flow(scale: float = 2) -> float:
        a, _ = two()
        take(a, scale)
        return take(number=one())

    graph = graph_of(flow)
    assert [node.id for node in graph.nodes] == ["two", "take", "one", "take_2"]
    assert graph.by_id["take"].inputs == {"number": Edge("two", "train")}
    assert graph.by_id["take"].parameters == {"scale": 2.0}
    assert graph.parameters == {"scale": 2.0}
    assert graph.outputs == {"output": Edge("take_2", "output")}
    assert from_data(to_data(graph)) == graph
    assert parse(graph.json).digest == graph.digest


def test_fields_lists_and_wholes() -> None:
    @pipeline
    def flow() -> None:
        p = parts()
        whole(p)
        take(p.left)
        left, _ = p
        take(pair().first)
        total([left, one(), 3])

    graph = graph_of(flow)
    assert graph.by_id["parts"].outputs == ("left", "right")
    binding = graph.by_id["whole"].inputs["parts"]
    assert isinstance(binding, Collect)
    assert binding.kind.endswith(":Parts")
    assert len(graph.by_id["total"].inputs["numbers"].items) == 3


def test_map_after_options_and_variadic() -> None:
    @pipeline
    def flow() -> None:
        scaled = take.map([1, 2], scale=0.5)
        last = nothing.with_options(after=scaled, name="end")()
        one.with_options(after=last, cache=False)()
        many(one(), 2, x=3)

    graph = graph_of(flow)
    assert [node.id for node in graph.nodes] == ["take[0]", "take[1]", "end", "one", "one_2", "many"]
    assert graph.by_id["end"].after == ("take[0]", "take[1]")
    assert graph.by_id["one"].options == {"cache": False}
    assert graph.by_id["many"].parameters == {"named": {"x": 3}}


def test_inner_pipeline_inlines() -> None:
    @pipeline
    def inner(number: int) -> float:
        return take(number)

    @pipeline
    def outer() -> float:
        assert inner.inline(one()) is not None
        return scaled(inner(one()))  # type: ignore[arg-type]

    @step
    def scaled(value: float) -> float:
        return value

    graph = graph_of(outer)
    assert [node.id for node in graph.nodes] == ["one", "take", "one_2", "take_2", "scaled"]
    assert graph.by_id["scaled"].inputs == {"value": Edge("take_2", "output")}


def test_pipeline_that_calls_itself() -> None:
    @pipeline
    def loop() -> None:
        loop()

    with pytest.raises(CompileError, match="calls itself: loop -> loop"):
        graph_of(loop)


def test_wrong_edge_names_everything() -> None:
    @pipeline
    def flow() -> None:
        take(text())  # type: ignore[arg-type]

    with pytest.raises(EdgeTypeError) as caught:
        graph_of(flow)
    for word in ("'output'", "'text'", "'number'", "'take'", "str", "int"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        lambda: one() and 1,
        lambda: one() + 1,  # type: ignore[operator]
        lambda: list(one()),  # type: ignore[call-overload]
        lambda: f"{one():d}",
        lambda: one() == 1,
        lambda: one().real,
        lambda: len(one()),  # type: ignore[arg-type]
        lambda: parts().middle,  # type: ignore[attr-defined]
        lambda: two()[0] > 2,
    ],
)
def test_value_mixed_into_a_result(body: Any) -> None:
    flow = pipeline(lambda: body())
    with pytest.raises(CompileError, match="has no value while the pipeline is compiled"):
        graph_of(flow)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: take(), "without parameter 'number'"),  # type: ignore[call-arg]
        (lambda: take(1, 2, 3), "takes 2 positional"),  # type: ignore[call-arg]
        (lambda: take(1, number=2), "two values"),  # type: ignore[misc]
        (lambda: take(1, factor=2), "no parameter 'factor'"),  # type: ignore[call-arg]
        (lambda: take("x"), "'x'"),  # type: ignore[arg-type]
        (lambda: take(lambda: 1), "number"),  # type: ignore[arg-type]
        (lambda: take.map([1], [1, 2]), "different lengths"),
        (lambda: take.map(one()), "it is int, no list"),  # type: ignore[arg-type]
        (lambda: one.with_options(after=3)(), "not what a step call returned"),
    ],
)
def test_wrong_call(call: Any, word: str) -> None:
    with pytest.raises(CoreError, match=word):
        graph_of(pipeline(lambda: call()))


def test_pipeline_parameters_are_checked() -> None:
    @pipeline
    def flow(gamma: float) -> None:
        take(1, gamma)

    with pytest.raises(ParameterError, match="'gamma'"):
        graph_of(flow, gamma="much")
    with pytest.raises(ParameterError, match="without parameter 'gamma'"):
        graph_of(flow)
    with pytest.raises(ParameterError, match="no parameter 'gama'"):
        graph_of(flow, gama=1)


def test_name_clash_and_empty() -> None:
    @pipeline
    def clash() -> None:
        one.with_options(name="x")()
        text.with_options(name="x")()

    with pytest.raises(CompileError, match="called 'x'"):
        graph_of(clash)
    with pytest.raises(CompileError, match="calls no step"):
        graph_of(pipeline(lambda: None))


def test_digest_is_the_same_under_every_hash_seed() -> None:
    code = (
        "from core import pipeline, step\n@step\ndef a(x: dict[str, int]) -> int: return 1\n"
        "@step\ndef b(y: int, s: set[str]) -> int: return y\n@pipeline\ndef p():\n b(a({'u': 1, 'v': 2}), {'q', 'r', 's'})\n"
        "print(p.compile({}).graph.digest)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(digests) == 1


def test_ten_thousand_deep() -> None:
    @pipeline
    def deep() -> None:
        value = one()
        for _ in range(10_000):
            value = total([value])

    assert len(graph_of(deep).nodes) == 10_001
