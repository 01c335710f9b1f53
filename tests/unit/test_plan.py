"""Planning: keys, reuse, every reason, and what is told before anything ran."""

from __future__ import annotations

import json
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import NotFoundError
from core.model.artifact import ArtifactRef
from core.model.graph import Collect, Constant, Edge, Graph, Node
from core.model.plan import Action, CachedResult, Decision
from core.model.spec import StepOptions, StepSpec
from core.plan import Planner
from core.plan.reasons import _at, ago
from core.ports.tracking_store import LatestAttempt, TrackingStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOW = 1_000_000.0


class History(TrackingStore):
    """What planning asks of a tracking store, in memory; `finish` records a completed attempt."""

    def __init__(self) -> None:
        self.keys: dict[str, CachedResult] = {}
        self.newest: dict[tuple[str, str], LatestAttempt] = {}
        self.documents: dict[str, str] = {}

    def finish(
        self, pipeline: str, node: Node, decision: Decision, content: str, at: float = NOW - 200
    ) -> dict[str, ArtifactRef]:
        outputs = {name: artifact(f"{content}/{name}") for name in node.outputs}
        self.keys[decision.key] = CachedResult("0199-0000-run12345", node.id, 1, at, outputs)
        self.newest[pipeline, node.id] = LatestAttempt(
            "0199-0000-run12345", json.loads(json.dumps(decision.fingerprint))
        )
        return outputs

    def cached(self, keys: Iterable[str], project: str = "default") -> dict[str, CachedResult]:
        return {key: self.keys[key] for key in keys if key in self.keys}

    def latest(self, pipeline: str, step: str, project: str = "default") -> LatestAttempt | None:
        return self.newest.get((pipeline, step))

    def document(self, digest: str) -> str:
        if digest not in self.documents:
            raise NotFoundError(digest)
        return self.documents[digest]


# The rest of the port is not asked for by planning.
History.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


def artifact(content: str) -> ArtifactRef:
    return ArtifactRef(digest=f"blake3:{content}", size=1, type="builtins:int", materializer="json", inline=b"1")


def function(text: str, name: str) -> Any:
    space: dict[str, Any] = {"__name__": "flow"}
    exec(text, space)  # noqa: S102 - a function of our own making
    found = space[name]
    assert isinstance(found, FunctionType)
    return found


CODE = {
    "load": "def helper(): return 1\ndef load(rows=1): return helper()",
    "split": "def split(data): return data",
    "train": "def train(data, gamma=0.1): return data",
}


def spec(name: str, code: str = "", **options: Any) -> StepSpec:
    return StepSpec(f"flow:{name}", name, function(code or CODE[name], name), "", "", StepOptions(**options))


SPECS = {name: spec(name) for name in CODE}
LOAD = Node("load", "flow:load", {}, {"rows": 100}, ("output",))
SPLIT = Node("split", "flow:split", {"data": Edge("load", "output")}, {}, ("train", "test"))
TRAIN = Node("train", "flow:train", {"data": Edge("split", "train")}, {"gamma": 0.01}, ("model",))
GRAPH = Graph("training", (LOAD, SPLIT, TRAIN))


def planner(history: History, graph: Graph = GRAPH, specs: Mapping[str, StepSpec] = SPECS, **more: Any) -> Planner:
    return Planner(graph, specs, history, **{"project": "default", "no_cache": False, "now": NOW, **more})


def run(
    history: History, graph: Graph = GRAPH, specs: Mapping[str, StepSpec] = SPECS, **more: Any
) -> dict[str, Decision]:
    """Run the graph as the scheduler does; the outputs of a step tell its key only by what it computes."""
    planned, done, made = planner(history, graph, specs, **more), {}, {}
    for node in graph.nodes:
        made[node.id] = decision = planned.decide(node, done)
        if decision.cached is not None:
            done[node.id] = decision.cached.outputs
        else:
            done[node.id] = history.finish(graph.pipeline, node, decision, node.id)
    history.documents.update(planned.documents())
    return made


def replaced(**nodes: Node) -> Graph:
    return GRAPH._replace(nodes=tuple(nodes.get(node.id, node) for node in GRAPH.nodes))


def reasons(graph: Graph = GRAPH, specs: Mapping[str, StepSpec] = SPECS, **more: Any) -> dict[str, str]:
    """What a plan says after the plain graph ran once."""
    history = History()
    run(history)
    plan = planner(history, graph, {**SPECS, **specs}, **more).plan()
    return {name: f"{decision.action}: {decision.reason}" for name, decision in plan.decisions.items()}


def test_at_first_nothing_ever_ran() -> None:
    plan = planner(History()).plan("local")
    assert [(d.action, d.reason) for d in plan.decisions.values()] == [(Action.RUN, "never ran")] * 3
    assert plan.decisions["load"].key
    assert not plan.decisions["split"].key
    assert plan.stack == "local"


def test_the_second_time_everything_is_reused() -> None:
    told = "reuse: same code, parameters and inputs as run run12345 (3 min ago)"
    assert reasons() == {"load": told, "split": told, "train": told}


def test_changed_code_names_the_function_and_its_place() -> None:
    told = reasons(specs={"load": spec("load", "\n\ndef helper(): return 1\ndef load(rows=1): return 2 + helper()")})
    assert told["load"] == "run: code of load changed (<string>:4)"
    assert told["split"] == "maybe: depends on load, which runs"
    assert told["train"] == "maybe: depends on split, which may run"


def test_a_changed_added_and_removed_helper_is_named() -> None:
    assert reasons(specs={"load": spec("load", CODE["load"].replace("return 1", "return 2"))})["load"] == (
        "run: code of helper changed (<string>:1)"
    )
    other = CODE["load"].replace("helper", "assist")
    assert reasons(specs={"load": spec("load", other)})["load"] == (
        "run: code of load changed (<string>:2); code of assist added (<string>:1); code of helper removed (<string>:1)"
    )


def test_without_the_old_document_the_step_itself_is_named() -> None:
    history = History()
    run(history)
    history.documents.clear()
    changed = spec("load", CODE["load"].replace("return 1", "return 2"))
    assert planner(history, specs={**SPECS, "load": changed}).plan().decisions["load"].reason == (
        "code of load changed (<string>:2)"
    )


def test_moved_code_is_the_same_code() -> None:
    assert reasons(specs={"load": spec("load", "\n\n\n" + CODE["load"])})["load"].startswith("reuse")


def test_a_changed_parameter_is_shown_from_and_to() -> None:
    told = reasons(replaced(train=TRAIN._replace(parameters={"gamma": 0.02})))
    assert told["train"] == "run: parameter gamma 0.01 -> 0.02"
    assert told["split"].startswith("reuse")
    told = reasons(replaced(train=TRAIN._replace(parameters={"gama": 0.01})))
    assert told["train"] == "run: parameter gama added; parameter gamma removed"


def test_of_an_object_the_fields_that_changed_are_shown() -> None:
    def config(rows: int, path: str) -> Any:
        inner = {"$": "run:Source", "value": {"path": path}}
        return LOAD._replace(parameters={"config": {"$": "run:Config", "value": {"rows": rows, "source": inner}}})

    history = History()
    run(history, replaced(load=config(3, "a")))
    plan = planner(history, replaced(load=config(4, "b"))).plan()
    assert plan.decisions["load"].reason == "parameter config.rows 3 -> 4; parameter config.source.path 'a' -> 'b'"


def test_a_place_in_a_session_is_a_cell_or_nothing() -> None:
    assert [_at("run.py:3"), _at("<ipython-input-9-a1e715a8>:2"), _at("")] == [" (run.py:3)", " (cell 9, line 2)", ""]


@pytest.mark.parametrize("value", ["100", 100.0, [100], None, "x" * 1000, list(range(1000))])
def test_parameters_of_other_types_or_sizes_are_other_parameters(value: object) -> None:
    told = reasons(replaced(load=LOAD._replace(parameters={"rows": value})))["load"]
    assert told == (
        f"run: parameter rows 100 -> {value!r}" if len(repr(value)) <= 60 else "run: parameter rows changed"
    )


def test_a_changed_input_names_output_and_step() -> None:
    history = History()
    run(history)
    done = {
        "load": {"output": artifact("load/output")},
        "split": {"train": artifact("new"), "test": artifact("split/test")},
    }
    decision = planner(history).decide(TRAIN, done)
    assert (decision.action, decision.reason) == (Action.RUN, "input train of step split changed")


def test_an_input_from_elsewhere_with_the_same_bytes_is_the_same() -> None:
    graph = Graph(
        "other",
        (
            LOAD._replace(id="l"),
            SPLIT._replace(id="s", inputs={"data": Edge("l", "output")}),
            TRAIN._replace(inputs={"data": Edge("s", "train")}),
        ),
    )
    history = History()
    run(history)
    plan = planner(history, graph, {"l": SPECS["load"], "s": SPECS["split"], "train": SPECS["train"]}).plan()
    assert {decision.action for decision in plan.decisions.values()} == {Action.REUSE}


def test_environment_and_materializers_count() -> None:
    told = reasons(specs={"load": spec("load", environment={"OMP": "1"}, materializers={"output": "json"})})["load"]
    assert told == "run: environment variable OMP changed; materializer of output changed"


def test_the_environment_is_kept_as_digests_only() -> None:
    secret = spec("load", environment={"TOKEN": "hunter2"})
    decision = planner(History(), specs={**SPECS, "load": secret}).plan().decisions["load"]
    assert "hunter2" not in repr(decision)


def test_other_options_do_not_count() -> None:
    assert reasons(specs={"load": spec("load", tags=("a",), timeout=5.0)})["load"].startswith("reuse")


def test_cache_can_be_turned_off() -> None:
    told = reasons(specs={"split": spec("split", cache=False)})
    assert told["split"] == "run: cache=False"
    assert told["train"] == "maybe: depends on split, which runs"
    assert set(reasons(no_cache=True).values()) == {"run: --no-cache"}
    assert reasons(no_cache=frozenset({"split"}))["split"] == "run: --no-cache"
    assert reasons(no_cache=frozenset({"split"}))["load"].startswith("reuse")


def test_an_earlier_result_expires() -> None:
    specs = {"load": spec("load", cache_expires=60.0)}
    assert reasons(specs=specs)["load"] == "run: expired 2 min ago (cache_expires)"
    assert reasons(specs=specs, now=NOW + 2 * 3600)["load"] == "run: expired 2 h ago (cache_expires)"
    assert reasons(specs=specs, now=NOW - 145)["load"].startswith("reuse")


def test_many_changes_are_cut_to_three() -> None:
    many = LOAD._replace(parameters={"rows": 1, "a": 1, "b": 2, "c": 3, "d": 4})
    assert (
        reasons(replaced(load=many))["load"]
        == "run: parameter a added; parameter b added; parameter c added; and 2 more"
    )


def test_what_runs_in_any_case_says_so_although_its_inputs_are_open() -> None:
    told = reasons(
        replaced(load=LOAD._replace(parameters={"rows": 1}), train=TRAIN._replace(parameters={"gamma": 0.5})),
        {"split": spec("split", "def split(data): return -data")},
    )
    assert told == {
        "load": "run: parameter rows 100 -> 1",
        "split": "run: code of split changed (<string>:1)",
        "train": "run: parameter gamma 0.01 -> 0.5",
    }


def test_a_step_that_gives_the_same_again_does_not_rerun_what_follows() -> None:
    history = History()
    run(history)
    made = run(history, replaced(load=LOAD._replace(parameters={"rows": 1})))
    assert [decision.action for decision in made.values()] == [Action.RUN, Action.REUSE, Action.REUSE]


def test_waiting_alone_hands_nothing_on() -> None:
    after = Graph("training", (LOAD, TRAIN._replace(inputs={}, after=("load",))))
    history = History()
    run(history, after)
    history.keys = {key: cached for key, cached in history.keys.items() if cached.step == "train"}
    told = {name: decision.action for name, decision in planner(history, after).plan().decisions.items()}
    assert told == {"load": Action.RUN, "train": Action.REUSE}


def test_a_lost_result_is_told() -> None:
    history = History()
    run(history)
    history.keys.clear()
    assert planner(history).plan().decisions["load"].reason == "no earlier result is kept"


def test_the_names_of_outputs_count() -> None:
    told = reasons(replaced(train=TRAIN._replace(outputs=("best",))))
    assert told["train"] == "run: names of its outputs changed"


def collected(*items: tuple[str, Any], kind: str = "list") -> str:
    node = TRAIN._replace(inputs={"data": Collect(kind, items)})
    done = {"split": {"train": artifact("1"), "test": artifact("2")}}
    return planner(History()).decide(node, done).key


def test_the_structure_of_an_input_counts() -> None:
    one, two = Edge("split", "train"), Edge("split", "test")
    shapes = [
        collected(("", one), ("", two)),
        collected(("", two), ("", one)),
        collected(("", one), ("", two), kind="tuple"),
        collected(("a", one), ("b", two), kind="dict"),
        collected(("a", two), ("b", one), kind="dict"),
        collected(("", Collect("list", (("", one),))), ("", two)),
        collected(("", Collect("list", (("", one), ("", two))))),
        collected(("", one), ("", two), ("", Constant(1))),
        collected(("", one), ("", two), ("", Constant("1"))),
        collected(("", one), ("", two), ("", Constant([]))),
    ]
    assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize("width", [3, 5000])
def test_a_wide_input_is_small_in_the_fingerprint(width: int) -> None:
    node = TRAIN._replace(inputs={"data": Collect("list", tuple(("", Edge(f"n{i}", "output")) for i in range(width)))})
    history, done = History(), {f"n{i}": {"output": artifact(str(i))} for i in range(width)}
    planned = planner(history)
    first = planned.decide(node, done)
    history.finish("training", node, first, "x")
    planned = planner(history)
    assert planned.decide(node, done).action is Action.REUSE
    done["n1"] = {"output": artifact("new")}
    wanted = "input output of step n1 changed" if width < 100 else "input data changed"
    assert planned.decide(node, done).reason == wanted
    assert len(first.fingerprint["inputs"]["data"]) < 10


def test_documents_are_given_out_once() -> None:
    planned = planner(History())
    decisions = planned.plan().decisions
    documents = planned.documents()
    assert decisions["load"].fingerprint["code"] in documents
    assert len(documents) == 3
    assert not planned.documents()


def test_ages_are_rounded_down() -> None:
    assert [ago(s) for s in (-5, 0.4, 59.9, 60, 3599, 7200, 47 * 3600, 48 * 3600)] == [
        "0 s", "0 s", "59 s", "1 min", "59 min", "2 h", "47 h", "2 d",
    ]  # fmt: skip


def test_a_deep_chain_needs_no_recursion() -> None:
    nodes = [
        LOAD,
        *(
            SPLIT._replace(id=f"n{i}", inputs={"data": Edge(f"n{i - 1}" if i else "load", "train" if i else "output")})
            for i in range(3000)
        ),
    ]
    graph = Graph("deep", tuple(nodes))
    specs = {node.id: SPECS["load" if node.id == "load" else "split"] for node in nodes}
    history = History()
    run(history, graph, specs)
    assert {d.action for d in planner(history, graph, specs).plan().decisions.values()} == {Action.REUSE}
