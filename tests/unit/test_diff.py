"""Two runs side by side: what is told, what is left out, and that a run differs from itself in nothing."""

from __future__ import annotations

import json
from typing import Any

from core.diff import KINDS, RunDiff, diff
from core.model.event import Event, EventKind
from core.model.graph import Edge, Graph, Node
from core.view import RunView, Source

PARTS = {
    "code-1": {"m:load": ["d1", "m.py:1"], "m:ROWS": ["d2", "m.py:9"]},
    "code-2": {"m:load": ["d3", "m.py:2"], "m:new": ["d4", "n.py:1"]},
}


def run(**given: Any) -> RunView:
    """A run of `load` and `train`; keywords change one thing each."""
    options = {"environment": {"TOKEN": given.get("token", "hush")}}
    nodes = [
        Node("load", "m:load", {}, {"rows": given.get("rows", 3)}, ("output",), (), options),
        Node(given.get("second", "train"), "m:train", {"data": Edge("load", "output")}, {}, ("model",)),
    ]
    graph = Graph("training", tuple(nodes))
    start = {
        "pipeline": "training",
        "graph": "g",
        "stack": "default",
        "client": {"python": given.get("python", "3.11")},
    }
    start["parameters"] = {"gamma": given.get("gamma", 0.1)}
    events = [Event("r", "", 0, "w", 0, EventKind.RUN_STARTED, 100.0, 1, start)]
    for number, node in enumerate(nodes, 1):
        ref = {
            "digest": f"blake3:{node.id}{given.get('digest', '')}",
            "size": 1,
            "type": "m:T",
            "materializer": "json",
            "text": "1",
        }
        ended = {"outputs": {node.outputs[0]: ref}, "fingerprint": {"code": given.get("code", "code-1")}}
        kind = EventKind.ATTEMPT_COMPLETED if given.get("kind") is None else given["kind"]
        events.append(Event("r", node.id, 1, "w", 2 * number, EventKind.ATTEMPT_STARTED, 100.0 + number, 1, {}))
        events.append(
            Event("r", node.id, 1, "w", 2 * number + 1, kind, 100.0 + number + given.get("seconds", 0.5), 1, ended)
        )
    events.append(
        Event(
            "r",
            "",
            0,
            "w",
            99,
            EventKind.RUN_ENDED,
            103.0 + given.get("late", 0.0),
            1,
            {"state": given.get("state", "completed")},
        )
    )
    return RunView(
        "r" * 8, lambda: (events, False), Source(lambda ref: ref, lambda *_: "", lambda _: graph, lambda *_: "")
    )


def compared(**given: Any) -> RunDiff:
    """The plain run, beside one in which `given` is different."""
    return diff(run(), run(**given), lambda digest: PARTS.get(digest, {}))


def told(**given: Any) -> list[tuple[str, str, str]]:
    """What, step and name of each change."""
    return [(change.what, change.step, change.name) for change in compared(**given).changes]


def test_a_run_differs_from_itself_in_nothing() -> None:
    found = compared()
    assert (found.same, found.changes, found.text()) == (True, (), "nothing differs")


def test_parameters_of_the_run_and_of_steps() -> None:
    assert told(gamma=0.2) == [("parameter", "", "gamma")]
    assert told(rows=4) == [("parameter", "load", "rows")]
    assert "gamma: 0.1 -> 0.2" in compared(gamma=0.2).text()


def test_code_function_by_function() -> None:
    assert {name for _, step, name in told(code="code-2") if step == "load"} == {"m:load", "m:ROWS", "m:new"}
    text = compared(code="code-2").text()
    assert "load: load changed (m.py:2)" in text
    assert "load: ROWS removed (m.py:9)" in text
    assert "train: new added (n.py:1)" in text


def test_code_whose_document_is_gone() -> None:
    assert told(code="gone") == [("code", "load", ""), ("code", "train", "")]
    assert "load changed" in compared(code="gone").text()


def test_environment_shows_no_value_of_a_variable() -> None:
    assert told(python="3.12") == [("environment", "", "python")]
    found = compared(token="louder")  # noqa: S106 - a test
    assert [change.name for change in found.changes] == ["environment.TOKEN"]
    assert "hush" not in json.dumps(found.to_data())
    assert "louder" not in found.text()


def test_artifacts_states_and_steps() -> None:
    assert told(digest="x") == [("artifact", "load", "output"), ("artifact", "train", "model")]
    assert ("state", "", "") in told(state="failed")
    assert told(second="fit") == [("graph", "train", ""), ("graph", "fit", "")]
    assert "train: only in the first run" in compared(second="fit").text()


def test_reused_beside_completed_is_no_change() -> None:
    assert [what for what, step, _ in told(kind=EventKind.STEP_REUSED) if step] == []


def test_times_count_only_when_they_are_far_apart() -> None:
    assert told(seconds=0.55) == []
    found = compared(seconds=0.9, late=2.0)
    assert [change.what for change in found.changes] == ["time"] * 3
    assert found.same
    assert "0.5 s -> 0.9 s" in found.text()


def test_causes_stand_before_effects_and_json_is_plain() -> None:
    found = compared(digest="x", gamma=0.2, code="code-2", python="3.12", seconds=2.0)
    order = [KINDS.index(change.what) for change in found.changes]
    assert order == sorted(order)
    data = json.loads(json.dumps(found.to_data()))
    assert set(data) == {"a", "b", "same", "changes"}
    assert all(set(change) == {"what", "step", "name", "a", "b"} for change in data["changes"])
