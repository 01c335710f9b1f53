"""Maps over what is known only at run time, and conditions: an attempt's items, keys, plans, and what a run shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core import Pipeline, pipeline, step
from core.builtin.materializers.table import MaterializerTable
from core.capture import Capture
from core.errors import OutputError
from core.execute import Bench, Result, Task, perform
from core.model.event import Event, EventKind
from core.model.expand import expand_graph, instances
from core.model.graph import Collect, Edge, Graph, Node
from core.model.plan import Action, Decision
from core.plan import Planner
from core.plan.key import node_key, step_key
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.memory import MemoryTrackingStore
from core.view import RunView, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


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
def grid() -> list[list[int]]:
    return [[1, 2], [], [3]]


@step
def square(x: int) -> int:
    return x * x


@step
def row(parts: list[int]) -> int:
    return sum(parts)


@step
def anything() -> Any:
    return {"a": 1}


@step
def either(x: Any) -> int:
    return 1


def graph_of(function: Any) -> Graph:
    return pipeline(function).compile({}).graph


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Capture(str(tmp_path), ()) as capture:
        yield Bench("r", "p", lambda *_, **__: None, capture, MemoryArtifactStore(), MaterializerTable(), bool, 8192)


def perform_one(bench: Bench, node: Node, function: Any, inputs: Mapping[str, Any]) -> Result:
    return perform(bench, Task(node, function.spec, Decision(Action.RUN, ""), 1, inputs))


def test_items_are_saved_and_taken_one_by_one(bench: Bench) -> None:
    graph = graph_of(lambda: row.map(square.map(grid())))
    done = {"grid": perform_one(bench, graph.nodes[0], grid, {}).outputs}
    assert list(done["grid"]) == [
        "output",
        *(f"output{p}" for p in ("[0]", "[0][0]", "[0][1]", "[1]", "[2]", "[2][0]")),
    ]
    shapes: dict[str, Any] = {"square": [2, 0, 1]}
    for node in instances(graph.by_id["square"], shapes["square"], {}):
        done[node.id] = perform_one(bench, node, square, done).outputs
    rows = [perform_one(bench, node, row, done) for node in instances(graph.by_id["row"], 3, shapes)]
    assert [result.outputs["output"].inline for result in rows] == [b"5", b"0", b"9"]


def test_what_can_not_be_walked_fails_the_step_that_gave_it(bench: Bench) -> None:
    graph = graph_of(lambda: either.map(anything()))
    error = perform_one(bench, graph.nodes[0], anything, {}).error
    assert isinstance(error, OutputError)
    assert "'output' of step 'anything' (test_dynamic_attempts.py:" in str(error)
    assert "is dict, but a later step is mapped over it" in str(error)


def test_what_was_skipped_is_none_or_missing_from_a_list(bench: Bench) -> None:
    node = Node("report", "m:report", {"url": Edge("deploy", "output")}, {}, ("output",), optional=("url",))
    assert perform_one(bench, node, report, {}).outputs["output"].inline == b"None"
    parts = Collect("list", tuple(("", Edge(f"clean[{index}]", "output")) for index in range(3)))
    node = Node("total", "m:total", {"parts": parts}, {}, ("output",))
    made = {
        f"clean[{i}]": perform_one(bench, Node("c", "m:c", {}, {"file": "x" * i}, ("output",)), clean, {}).outputs
        for i in (0, 2)
    }
    assert perform_one(bench, node, total, made).outputs["output"].inline == b"2.0"


def test_a_task_for_another_process_has_only_the_items_that_it_takes() -> None:
    done: Any = {"list_files": {"output": "all", "output[0]": "a", "output[1]": "b"}, "other": {"output": "x"}}
    node = Node("clean[1]", "m:clean", {"file": Edge("list_files", "output[1]"), "y": Edge("gone", "output")}, {}, ())
    task = Task(node._replace(after=("other",)), clean.spec, Decision(Action.RUN, ""), 1, done)
    assert task.needed() == {"list_files": {"output[1]": "b"}}


def test_keys_hang_on_the_item_and_on_what_was_walked(bench: Bench) -> None:
    graph = graph_of(lambda: total(clean.map(files())))
    first, second = instances(graph.by_id["clean"], 2, {})
    done = {"files": perform_one(bench, graph.nodes[0], files, {}).outputs}
    common = step_key(clean.spec)
    keys = [node_key(common, node, done)[0] for node in (first, second)]
    changed = {"files": {**done["files"], "output[1]": done["files"]["output[0]"], "output": None}}
    assert [node_key(common, node, changed)[0] for node in (first, second)] == [keys[0], keys[0]]  # type: ignore[arg-type]
    key, found = node_key(common, graph.nodes[0], {})
    plain, without = node_key(common, graph.nodes[0]._replace(walked={}), {})
    assert key != plain
    assert (found["walked"], "walked" in without) == ({"output": 1}, False)


def test_keys_take_what_was_skipped_as_none() -> None:
    common = step_key(report.spec)
    node = Node("report", "m:report", {"url": Edge("deploy", "output")}, {}, ("output",), optional=("url",))
    assert node_key(common, node, {})[1]["inputs"] == {"url": [["deploy", "output", ""]]}
    several = Collect("list", (("", Edge("deploy", "output")),))
    nothing = node._replace(inputs={"url": several})
    assert (
        node_key(common, nothing, {})[0] == node_key(common, node._replace(inputs={"url": Collect("list", ())}), {})[0]
    )


def planner(pipe: Pipeline[..., Any], no_cache: Any = frozenset()) -> Planner:
    compiled = pipe.compile({})
    return Planner(compiled.graph, compiled.specs, MemoryTrackingStore(), project="default", no_cache=no_cache, now=0.0)


def test_a_plan_leaves_open_what_is_not_known() -> None:
    @pipeline
    def nightly() -> None:
        parts = clean.map(files())
        either(deploy.with_options(when=good(total(parts))).map(parts))

    plan = planner(nightly).plan()
    assert {name: (str(d.action), d.reason) for name, d in plan.decisions.items()} == {
        "files": ("run", "never ran"),
        "clean": ("maybe", "maps over files, whose length is known when it runs"),
        "total": ("run", "never ran"),
        "good": ("run", "never ran"),
        "deploy": ("maybe", "only if good gives True; maps over clean, whose length is known when it runs"),
        "either": ("maybe", "depends on deploy, which may be skipped"),
    }
    forced = planner(nightly, frozenset({"clean"}))
    assert forced.plan().decisions["clean"].reason.startswith("--no-cache; maps over")
    instance = instances(forced.graph.by_id["clean"], 1, {})[0]
    assert not forced.may_reuse(instance)
    assert planner(nightly).may_reuse(instance)


def test_a_run_shows_the_calls_and_hides_the_items() -> None:
    graph = graph_of(lambda: total(clean.map(files())))
    drawn: list[Graph] = []
    source = Source(
        lambda ref: ref,
        lambda *_: "",
        lambda _: graph,
        lambda g, _: drawn.append(g) or "",
        *[None] * (len(Source._fields) - 4),
    )  # type: ignore[func-returns-value, arg-type]
    item = {"digest": "blake3:1", "size": 1, "type": "builtins:str", "materializer": "text"}

    def view(*events: Event) -> RunView:
        return RunView("r", lambda: (events, False), source)

    def event(seq: int, kind: str, name: str = "", attempt: int = 1, **data: Any) -> Event:
        return Event("r", name, attempt, "w", seq, kind, float(seq), 1, data)

    began = event(0, EventKind.RUN_STARTED, attempt=0, graph="", pipeline="p")
    ended = event(
        1, EventKind.ATTEMPT_COMPLETED, "files", outputs={"output": item, "output[0]": item, "output[1]": item}
    )
    grown = event(2, EventKind.STEP_EXPANDED, "clean", shape=2)
    failed = event(3, EventKind.ATTEMPT_FAILED, "clean[1]", error={"type": "ValueError"})
    assert list(view(began).steps) == ["files", "clean", "total"]
    run = view(began, ended, grown, failed)
    assert {step.name: str(step.state) for step in run.steps.values()} == {
        "files": "completed", "clean[0]": "pending", "clean[1]": "failed", "total": "pending",
    }  # fmt: skip
    assert list(run.steps["files"].outputs) == ["output"]
    run.picture()
    assert drawn == [run.graph] == [expand_graph(graph, {"clean": 2})]
    assert run.recorded_graph is graph
    again = event(4, EventKind.STEP_EXPANDED, "clean", 2, shape=1)
    assert list(view(again, began, grown).steps) == ["files", "clean[0]", "total"]
