"""Folding events: what is read is a pure function of the set of events, and never says "running" of the dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotFoundError
from core.model.event import Event, EventKind
from core.model.graph import Graph, Node
from core.model.states import RunState, StepState
from core.view import RunView, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

GRAPH = Graph("p", tuple(Node(name, f"m:{name}", {}, {}, ("output",)) for name in "abc"))
SOURCE = Source(lambda ref: ref, lambda *_: "", lambda _: GRAPH, lambda *_: "<svg/>")


def event(
    kind: str, step: str = "", attempt: int = 0, *, seq: int, epoch: int = 1, writer: str = "w", **data: Any
) -> Event:
    return Event("r", step, attempt, writer, seq, kind, 100.0 + seq, epoch, data)


def view(events: Sequence[Event], *, silent: bool = False) -> RunView:
    return RunView("r", lambda: (events, silent), SOURCE)


STARTED = event(EventKind.RUN_STARTED, seq=0, pipeline="p", graph=GRAPH.digest, stack="default")
A_STARTED = event(EventKind.ATTEMPT_STARTED, "a", 1, seq=1, reason="never ran")
A_DONE = event(EventKind.ATTEMPT_COMPLETED, "a", 1, seq=2, outputs={})
B_STARTED = event(EventKind.ATTEMPT_STARTED, "b", 1, seq=3)
B_FAILED = event(EventKind.ATTEMPT_FAILED, "b", 1, seq=4, error={"type": "ValueError"})
C_SKIPPED = event(EventKind.STEP_SKIPPED, "c", 1, seq=5, reason="b failed")
ENDED = event(EventKind.RUN_ENDED, seq=6, state="failed", error="ValueError")
FIRST = [STARTED, A_STARTED, A_DONE, B_STARTED, B_FAILED, C_SKIPPED, ENDED]
RESUMED = [
    event(EventKind.RUN_STARTED, seq=0, epoch=2, writer="x", pipeline="p", graph=GRAPH.digest, stack="other"),
    event(EventKind.ATTEMPT_STARTED, "b", 2, seq=1, epoch=2, writer="x"),
    event(EventKind.ATTEMPT_COMPLETED, "b", 2, seq=2, epoch=2, writer="x", outputs={}),
    event(EventKind.ATTEMPT_STARTED, "c", 1, seq=3, epoch=2, writer="x"),
    event(EventKind.ATTEMPT_COMPLETED, "c", 1, seq=4, epoch=2, writer="x", outputs={}),
    event(EventKind.RUN_ENDED, seq=5, epoch=2, writer="x", state="completed"),
]


def states(run: RunView) -> list[str]:
    return [str(step.state) for step in run.steps.values()]


def test_states_of_a_failed_run() -> None:
    run = view(FIRST)
    assert run.state is RunState.FAILED
    assert states(run) == ["completed", "failed", "skipped"]
    assert run.steps["a"].reason == "never ran"


def test_a_silent_owner_is_lost() -> None:
    run = view(FIRST[:4], silent=True)
    assert run.state is RunState.LOST
    assert states(run) == ["completed", "lost", "pending"]
    assert view(FIRST[:4]).steps["b"].state is StepState.RUNNING


def test_resuming_makes_it_run_again_and_end_anew() -> None:
    assert view([*FIRST, *RESUMED[:2]]).state is RunState.RUNNING
    run = view([*FIRST, *RESUMED])
    assert run.state is RunState.COMPLETED
    assert states(run) == ["completed"] * 3
    assert [a.number for a in run.steps["b"].attempts] == [1, 2]


def test_a_late_end_of_the_fenced_owner_counts_for_nothing() -> None:
    late = event(EventKind.ATTEMPT_FAILED, "c", 1, seq=9, epoch=1, error={"type": "X"})
    assert view([*FIRST, *RESUMED, late]).steps["c"].state is StepState.COMPLETED


def test_the_first_end_of_an_attempt_stands() -> None:
    second = event(EventKind.ATTEMPT_FAILED, "a", 1, seq=7, error={"type": "X"})
    assert view([*FIRST, second]).steps["a"].state is StepState.COMPLETED


@given(st.permutations([*FIRST, *RESUMED]), st.lists(st.sampled_from([*FIRST, *RESUMED])))
def test_order_and_duplicates_do_not_matter(events: list[Event], again: list[Event]) -> None:
    assert view([*events, *again]).to_data() == view([*FIRST, *RESUMED]).to_data()


def test_unknown_kinds_and_fields_are_passed_over() -> None:
    later = event("quantum_entangled", "a", 1, seq=8, future=True)
    run = view([*FIRST, later])
    assert run.state is RunState.FAILED
    assert states(run)[0] == "completed"


def test_it_shows_itself() -> None:
    run = view(FIRST)
    assert "failed" in repr(run)
    assert "<svg/><table>" in run._repr_html_()
    assert "b failed" in repr(run.steps["c"])


def test_a_wrong_name_is_told_with_the_closest() -> None:
    run = view(FIRST)
    with pytest.raises(NotFoundError, match="no 'aa' here"):
        run.steps["aa"]
    with pytest.raises(KeyError):
        run.steps["a"].outputs["model"]
    assert run.steps.get("nope") is None


def test_what_an_owner_left_without_end_is_lost_once_another_goes_on() -> None:
    resumed = event(EventKind.RUN_RESUMED, seq=0, epoch=2, writer="x", again=[])
    run = view([*FIRST[:4], resumed])
    assert run.state is RunState.RUNNING
    assert states(run) == ["completed", "lost", "pending"]
    again = event(EventKind.ATTEMPT_STARTED, "b", 2, seq=1, epoch=2, writer="x")
    assert [str(a.state) for a in view([*FIRST[:4], resumed, again]).steps["b"].attempts] == ["lost", "running"]


def test_going_on_changes_nothing_of_how_it_began() -> None:
    resumed = event(EventKind.RUN_RESUMED, seq=0, epoch=2, writer="x", again=[], pipeline="other", stack="cloud")
    run = view([*FIRST, resumed])
    assert (run.pipeline, run.stack, run.started_at, run.ended_at) == ("p", "default", 100.0, None)


@pytest.mark.parametrize("kind", [EventKind.CANCEL_REQUESTED, EventKind.RUN_HELD, "of_the_future"])
def test_what_others_write_of_a_run_changes_no_state(kind: str) -> None:
    wish = event(kind, seq=0, epoch=0 if kind in set(EventKind) else 9, writer="cli")
    assert view([*FIRST, wish]).to_data() == view(FIRST).to_data()
