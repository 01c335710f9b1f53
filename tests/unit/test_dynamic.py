"""Maps over outputs whose length is known only at run time, and conditions: compiled, and refused where they are wrong."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import pytest

from core import pipeline, step
from core.errors import CompileError, CoreError, DefinitionError, EdgeTypeError
from core.model.graph import EACH, WHEN, Collect, Edge, Graph


class Parts(NamedTuple):
    left: int
    right: str


@step
def files() -> list[str]:
    return ["a", "bb"]


@step
def clean(file: str, strength: int = 1) -> float:
    return float(len(file) * strength)


@step
def total(parts: list[float]) -> float:
    return sum(parts)


@step
def good(x: float) -> bool:
    return x > 1


@step
def deploy(x: float) -> str:
    return f"at {x}"


@step
def report(url: str | None) -> str:
    return str(url)


@step
def need(url: str) -> str:
    return url


@step
def grid() -> list[list[int]]:
    return [[1, 2], [], [3]]


@step
def square(x: int) -> int:
    return x * x


@step
def row(parts: list[int]) -> int:
    return sum(parts)


@step
def split(file: str) -> Parts:
    return Parts(len(file), file)


@step
def join(parts: list[Parts], lefts: list[int]) -> int:
    return len(parts) + len(lefts)


@step
def use(part: Parts) -> int:
    return part.left


@step
def pair(x: int) -> tuple[Annotated[int, "a"], Annotated[str, "b"]]:
    return x, str(x)


@step
def tell(text: str) -> None: ...


@step
def words() -> set[str]:
    return {"a"}


@step
def table() -> dict[str, str]:
    return {}


@step
def anything() -> Any:
    return {"a": 1}


@step
def either(x: Any) -> int:
    return 1


def graph_of(function: Any) -> Graph:
    return pipeline(function).compile({}).graph


def test_a_map_over_an_output_is_one_node() -> None:
    def nightly() -> Any:
        parts = clean.map(files(), strength=2)
        tell.with_options(after=parts)("done")
        return total(parts)

    graph = graph_of(nightly)
    node = graph.by_id["clean"]
    assert node.inputs == {"file": Edge("files", "output")}
    assert (node.each, node.depth, node.parameters) == (("file",), 1, {"strength": 2})
    assert graph.by_id["files"].walked == {"output": 1}
    assert graph.by_id["total"].inputs == {"parts": Edge("clean", "output")}
    assert graph.by_id["tell"].after == ("clean",)


def test_lists_in_lists_are_walked_as_deep_as_the_parameter_asks() -> None:
    def flow() -> Any:
        squares = square.map(grid())
        row.map(squares)
        square.map(squares)
        row.map(grid())
        return either.map(grid())

    graph = graph_of(flow)
    depths = {node.id: node.depth for node in graph.nodes if node.each}
    assert depths == {"square": 2, "row": 1, "square_2": 2, "row_2": 1, "either": 1}
    assert graph.by_id["grid"].walked == {"output": 2}
    assert not graph.by_id["square"].walked


def test_a_map_into_the_results_of_a_map_marks_what_they_give() -> None:
    @step
    def several(file: str) -> list[int]:
        return [len(file)]

    graph = graph_of(lambda: square.map(several.map(files())))
    assert graph.by_id["several"].walked == {"output": 1}
    assert graph.by_id["square"].depth == 2


def test_a_known_list_is_walked_beside_an_output() -> None:
    def flow() -> Any:
        clean.map(files(), range(2))
        clean.map(["x", need("y")], anything())
        return clean.map(files(), [row([1]), 2])

    first, second, third = (node for node in graph_of(flow).nodes if node.each)
    assert first.parameters == {"strength": [0, 1]}
    assert set(first.each) == {"file", "strength"}
    assert isinstance(second.inputs["file"], Collect)
    assert [type(item).__name__ for _, item in third.inputs["strength"].items] == ["Edge", "Constant"]  # type: ignore[union-attr]


def test_several_outputs_are_lists_each_or_one_list_of_all() -> None:
    def flow() -> Any:
        parts = split.map(files())
        join(parts, parts.left)  # type: ignore[attr-defined]
        use.map(parts)
        numbers, texts = pair.map(parts.left)  # type: ignore[attr-defined]
        either([numbers, texts])
        return parts

    graph = graph_of(flow)
    whole = graph.by_id["join"].inputs["parts"]
    assert isinstance(whole, Collect)
    assert whole.kind.startswith(EACH)
    assert graph.by_id["join"].inputs["lefts"] == Edge("split", "left")
    assert graph.by_id["use"].inputs["part"] == whole
    assert graph.by_id["either"].inputs["x"] == Collect("list", (("", Edge("pair", "a")), ("", Edge("pair", "b"))))
    assert graph.outputs == {"left": Edge("split", "left"), "right": Edge("split", "right")}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (lambda: square.map(files()), "items of .* are str, but input 'x' of step 'square' takes int"),
        (lambda: square.map(row([1])), "'x', but it is int, no list"),
        (lambda: clean.map(words()), "is set.str., no list"),
        (lambda: clean.map(table()), "is dict.str, str., no list"),
        (lambda: clean.map(need("text")), "is str, no list"),
        (lambda: clean.map(files(), 5), "is int, no list"),
        (lambda: clean.map(files(), [1], [2]), "walks 3 lists, but clean takes 2"),
        (lambda: clean.map(files(), [1, "x"]), "'strength' of step 'clean'"),
        (lambda: join.map([[]], files()), "'lefts'"),
        (lambda: clean.map(files(), file="a"), "two values for parameter 'file'"),
        (lambda: clean.map(files(), speed=1), "no parameter 'speed'"),
        (lambda: clean.map(strength=files()), "give at least one list"),
        (lambda: total(split.map(files())), "is list.Parts., but input 'parts'"),
        (lambda: list(clean.map(files())), "list of output 'output' of mapped step 'clean'"),
        (lambda: len(clean.map(files())), "known|value"),
        (lambda: clean.map(files())[0], "indexing"),
        (lambda: split.map(files()).middle, "'middle' is none of its fields"),
        (lambda: need.with_options(name="clean[1]")(str(clean.map(files()) and 1)), "condition"),
        (lambda: [clean.map(files()), tell.with_options(name="clean[1]")("x")], "a call of the mapped step 'clean'"),
        (lambda: deploy.with_options(when=files())(1.0), "is list.str., no bool"),
        (lambda: deploy.with_options(when=anything())(1.0), "is Any, no bool"),
        (lambda: deploy.with_options(when=True)(1.0), "is no output of a step"),
        (lambda: deploy.with_options(when=good)(1.0), "is no output of a step"),
        (lambda: deploy.with_options(when=good.map(clean.map(files())))(1.0), "is one for each item"),
        (lambda: square.with_options(when=good.map(clean.map(files()))).map(grid()), "2 lists deep, but its condition"),
    ],
)
def test_what_is_refused(body: Any, word: str) -> None:
    with pytest.raises(CoreError, match=word) as caught:
        graph_of(lambda: body())
    assert isinstance(caught.value, CompileError)
    assert caught.value.hint


def test_lists_of_different_depth_are_refused() -> None:
    @step
    def mixed(x: int, name: str) -> int:
        return x

    with pytest.raises(EdgeTypeError, match=r"2 lists deep, but <output 'output' of step 'files'> for input 'name'"):
        graph_of(lambda: mixed.map(grid(), files()))
    with pytest.raises(CompileError, match="walks lists of different lengths"):
        graph_of(lambda: either.map(files(), [1], [1, 2]) if False else clean.map([files(), "a"], [1]))


def test_a_map_limit_is_a_whole_number() -> None:
    assert clean.with_options(map_limit=5).spec.options.map_limit == 5
    for wrong in (0, 1.5, True, 10**6):
        with pytest.raises(DefinitionError, match="is no whole number from 1 to 100000"):
            clean.with_options(map_limit=wrong)  # type: ignore[arg-type]


def test_conditions_and_what_may_be_none() -> None:
    def flow() -> None:
        result = total([1.0])
        url = deploy.with_options(when=good(result))(result)
        report(url)
        report(need(url))
        report(report(url))
        need.with_options(after=url)("x")

    graph = graph_of(flow)
    assert graph.by_id["deploy"].when == Edge("good", "output")
    optional = {node.id: node.optional for node in graph.nodes if node.optional}
    assert optional == {"report": ("url",), "report_2": ("url",), "report_3": ("url",)}
    assert "good" in set(graph.by_id["deploy"].upstream())


def test_conditions_of_mapped_steps() -> None:
    def flow() -> None:
        parts = clean.map(files())
        one = deploy.with_options(when=good(1.0)).map(parts)
        each = deploy.with_options(when=good.map(parts)).map(parts)
        report.map(one)
        report.map(each)
        either([one, each])

    graph = graph_of(flow)
    assert graph.by_id["deploy"].when == Edge("good", "output")
    assert graph.by_id["deploy_2"].when is None
    assert graph.by_id["deploy_2"].inputs[WHEN] == Edge("good_2", "output")
    assert [graph.by_id[name].optional for name in ("report", "report_2", "either")] == [("url",), ("url",), ()]


def test_outside_a_pipeline_map_is_a_loop() -> None:
    assert clean.map(files(), strength=2) == [2.0, 4.0]
