"""What displays show of steps side by side, further tries, runs that go on, mapped steps, and what could be saved."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from core.builtin.display.calls import template_of
from core.builtin.display.live import LiveDisplay, Picture
from core.builtin.display.plain import PlainDisplay
from core.builtin.display.saving import simulate
from core.builtin.display.tally import Tally
from core.model.event import Event
from core.model.graph import Edge, Graph, Node
from core.model.plan import Action, Decision, Plan

RUN = "0198c2f1-0000-7000-8000-00004f1dab12"
TIMES = "\u00d7"
RETRY = {"seconds": 2.0, "reason": "attempt 2 of 3 after ValueError"}


def fact(kind, step="", at=0.0, attempt=1, **data):
    return Event(RUN, step, attempt if step else 0, "w", 0, kind, 100.0 + at, 1, data)


def plan(**takes):
    """A plan of steps, each with the names of the steps that it takes from."""
    nodes = tuple(
        Node(name, f"run:{name}", {up: Edge(up, "output") for up in before.split()}, {}, ("output",))
        for name, before in takes.items()
    )
    decision = Decision(Action.RUN, "never ran")
    return Plan(Graph("training", nodes), {node.id: decision for node in nodes}, "default")


def plain(planned, *facts, end=True, resumed=None):
    """What the plain display prints."""
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.planned(RUN, planned)
    display.event(fact("run_started" if resumed is None else "run_resumed"))
    if resumed is not None:
        display.resumed(resumed)
    for each in facts:
        if isinstance(each, Event):
            display.event(each)
        else:
            display.waiting(*each)
    if end:
        display.event(
            fact("run_ended", at=max([e.at for e in facts if isinstance(e, Event)] or [100]) - 100, state="completed")
        )
        display.close()
    return stream.getvalue().replace(TIMES, "x").splitlines()


def drawn(planned, *facts, at=0.0, height=40, encoding="utf-8"):
    """The tree, `at` seconds after the run began."""
    tally = Tally()
    tally.plan(RUN, planned)
    for each in (fact("run_started"), *facts):
        if isinstance(each, Event):
            tally.take(each)
        else:
            tally.wait(*each)
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=100, height=height, color_system=None, highlight=False)
    console.print(Picture(tally, lambda: 100.0 + at))
    stream.seek(0)
    return [re.sub(r" +", " ", line.replace(TIMES, "x")).rstrip() for line in stream.read().splitlines()[1:]]


BUSY = (
    fact("attempt_started", "a"),
    fact("attempt_started", "b", 0.1),
    fact("attempt_failed", "b", 0.5, seconds=0.4, error={"type": "ValueError", "message": "bad"}, retry=RETRY),
    fact("attempt_started", "c", 0.6),
    fact("attempt_preempted", "c", 0.7, seconds=0.1, reason="SIGTERM", retry=None),
)


def test_plain_tells_of_further_tries_and_of_steps_side_by_side() -> None:
    lines = plain(
        plan(a="", b="", c="", d="b"),
        *BUSY,
        fact("attempt_started", "b", 2.6, 2, reason=RETRY["reason"]),
        fact("attempt_cancelled", "a", 3, seconds=3.0, reason="interrupted", retry=None),
        end=False,
    )
    assert lines[1:] == [
        "  a  running",
        "  b  running",
        "  b  failed     0.40 s  ValueError: bad; retrying in 2 s (attempt 2 of 3)",
        "  c  running",
        "  c  preempted  0.10 s  SIGTERM",
        "  b  running    attempt 2 of 3 after ValueError",
        "  a  cancelled  3.00 s  interrupted",
    ]


def test_live_counts_down_to_the_next_try() -> None:
    assert drawn(plan(a="", b="", c="", d="b"), *BUSY, at=1.5) == [
        "├─ ▶ a 1.50 s",
        "├─ ↻ b 0.40 s ValueError: bad; retrying in 1 s (attempt 2 of 3)",
        "├─ ◆ c 0.10 s SIGTERM",
        "└─ · d",
    ]
    assert "retrying in 0.3 s (" in drawn(plan(a="", b="", c="", d="b"), *BUSY, at=2.2)[1]
    assert "retrying (attempt 2 of 3)" in drawn(plan(a="", b="", c="", d="b"), *BUSY, at=9)[1]
    assert drawn(plan(a="", b="", c="", d="b"), *BUSY, at=1.5, encoding="ascii")[1].startswith("|- ~ b")


def test_a_step_that_waits_for_its_next_try_has_not_failed() -> None:
    tally = Tally()
    tally.plan(RUN, plan(a="", b="", c="", d="b"))
    for event in BUSY:
        tally.take(event)
    assert (tally.done, tally.counts["pending"], tally.counts["failed"], tally.summary()) == (1, 2, 0, "1 preempted")
    tally.take(fact("attempt_started", "b", 3, 2))
    assert (tally.counts["pending"], tally.counts["running"]) == (1, 2)
    tally.take(fact("attempt_completed", "b", 4, 2, seconds=1.0))
    assert (tally.counts["running"], tally.counts["completed"]) == (1, 1)


def test_waiting_for_another_run() -> None:
    other = "0198c2f1-0000-7000-8000-0000ab12cd34"
    reused = fact(
        "step_reused", "a", 1, reason="same code, parameters and inputs as run ab12cd34, which ended meanwhile"
    )
    lines = plain(plan(a="", b=""), ("a", other), ("b", ""), reused)
    assert lines[1] == "  a  waiting    for run ab12cd34, which runs the same step"
    assert lines[2] == "  b  waiting    for another run, which runs the same step"
    assert lines[3].startswith("  a  reused")
    assert drawn(plan(a=""), ("a", other)) == ["└─ · a waiting for run ab12cd34, which runs the same step"]


def test_a_run_that_goes_on_says_what_was_finished_before() -> None:
    lines = plain(
        plan(a="", b="a", c="b"),
        fact("attempt_started", "c", 1, 2, reason="asked for again"),
        fact("attempt_completed", "c", 2, 2, seconds=1.0),
        resumed={"a": {}, "b": {}},
    )
    assert lines[1:] == [
        "  resumed: 2 steps were finished before",
        "  c  running    asked for again",
        "  c  completed  1.00 s",
        "training completed in 2.00 s: 1 ran, 2 finished before",
        "  core runs show 4f1dab12",
    ]
    assert plain(plan(a=""), resumed=["a"])[1] == "  resumed: 1 step was finished before"
    assert plain(plan(a=""), resumed=[])[1] == "  resumed: no steps were finished before"


def test_live_says_it_too() -> None:
    stream = io.StringIO()
    display = LiveDisplay(stream, Console(file=stream, force_terminal=True, width=80, height=20, color_system=None))
    display.planned(RUN, plan(a="", b="a"))
    display.event(fact("run_resumed"))
    display.resumed({"a": {}})
    display.waiting("b", "")
    display.close()
    shown = stream.getvalue()
    assert "resumed: 1 step was finished before" in shown
    assert "✓ a" in shown
    assert "waiting for another run" in shown


def mapped(count, done=0, failed=0, running=0):
    """Facts of a mapped step with so many calls."""
    facts = [fact("step_expanded", "clean", shape=count)]
    for index in range(done + failed + running):
        facts.append(fact("attempt_started", f"clean[{index}]", 0.1))
        if index < done:
            facts.append(fact("attempt_completed", f"clean[{index}]", 0.2, seconds=0.1))
        elif index < done + failed:
            error = {"type": "E", "message": "x"}
            facts.append(fact("attempt_failed", f"clean[{index}]", 0.2, seconds=0.1, error=error))
    return facts


def test_many_calls_of_a_mapped_step_are_one_line() -> None:
    lines = drawn(plan(load="", clean="load", total="clean"), *mapped(12, done=7, failed=1, running=2), at=0.2)
    assert lines == [
        "├─ · load",
        "├─ ✗ clean x 12 7 done, 2 running, 1 failed, 2 waiting",
        "├─ ✗ clean[7] 0.10 s E: x",
        "├─ ▶ clean[8] 0.10 s",
        "├─ ▶ clean[9] 0.10 s",
        "└─ · total",
    ]
    assert (
        "> clean x 12 7 done, 1 running, 4 waiting" in drawn(plan(clean=""), *mapped(12, 7, 0, 1), encoding="ascii")[0]
    )
    assert drawn(plan(clean=""), *mapped(3, done=1))[0] == "├─ ✓ clean[0] 0.10 s"


def test_calls_whose_number_was_known_before_are_one_line_too() -> None:
    names = {f"fit[{index}]": "" for index in range(5)}
    assert drawn(plan(**names)) == ["└─ · fit x 5 5 waiting"]
    assert drawn(plan(**names), *(fact("step_reused", name) for name in names)) == ["└─ ✓ fit x 5 5 done"]


def test_more_running_calls_than_lines() -> None:
    lines = drawn(plan(load="", clean="load"), *mapped(100, running=50), height=14)
    assert lines[-1].startswith("0 of 101 done: no steps, 50 running, 51 waiting (40 more running or failed)")


def test_plain_tells_how_many_calls_there_are() -> None:
    lines = plain(plan(load="", clean="load"), *mapped(2, done=1))
    assert lines[1:4] == ["  clean     mapped     x 2", "  clean[0]  running", "  clean[0]  completed  0.10 s"]
    big = plain(plan(load="", clean="load"), *mapped(1000, done=1000))
    assert len(big) < 20
    assert any("100 %" in line or " 90 %" in line for line in big)


def test_calls_that_an_earlier_owner_finished() -> None:
    lines = plain(plan(clean=""), fact("step_expanded", "clean", shape=3), resumed={"clean[0]": {}, "clean[2]": {}})
    assert lines[1] == "  resumed: 2 steps were finished before"
    assert lines[-2].endswith("2 finished before")


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("a[0]", "a"),
        ("a[0][12]", "a"),
        ("a", ""),
        ("a[x]", ""),
        ("[0]", ""),
        ("a]", ""),
        ("a[]", ""),
        ("a[b][1]", "a[b]"),
    ],
)
def test_whose_call_a_step_is(name: str, template: str) -> None:
    assert template_of(name) == template


# What workers would have saved ---------------------------------------------------------------------------------------


def serial(*steps):
    """Facts of steps that ran one after another: name and seconds."""
    facts, at = [], 0.0
    for name, seconds in steps:
        facts.append(fact("attempt_started", name, at))
        at += seconds
        facts.append(fact("attempt_completed", name, at, seconds=seconds))
    return facts


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)


WIDE = {"load": "", "a": "load", "b": "load", "c": "load", "end": "a b c"}


def test_a_run_that_could_have_been_shorter_says_how() -> None:
    facts = serial(("load", 1), ("a", 6), ("b", 6), ("c", 6), ("end", 1))
    assert plain(plan(**WIDE), *facts)[-1] == (
        "  3 steps could have run side by side: --workers 3 (or CORE_WORKERS=3) would have saved about 12 s"
    )


def test_never_more_workers_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = serial(("load", 1), ("a", 6), ("b", 6), ("c", 6), ("end", 1))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert plain(plan(**WIDE), *facts)[-1].endswith("--workers 2 (or CORE_WORKERS=2) would have saved about 6 s")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert "side by side" not in plain(plan(**WIDE), *facts)[-1]


def test_steps_that_have_all_cores_at_work_by_themselves_would_not_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = serial(("load", 1), ("a", 6), ("b", 6), ("c", 6), ("end", 1))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    taken = iter([(0.0,) * 5, (34.0, 4.0, 0.0, 0.0, 0.0)])
    monkeypatch.setattr("os.times", lambda: next(taken))
    assert "side by side" not in plain(plan(**WIDE), *facts)[-1]


@pytest.mark.parametrize(
    "facts",
    [
        serial(("load", 9), ("a", 0.5), ("b", 0.5), ("c", 0.5), ("end", 1)),
        serial(("load", 1), ("a", 20)),
        serial(("load", 0.1), ("a", 0.3), ("b", 0.3)),
        [
            fact("attempt_started", "a"),
            fact("attempt_started", "b"),
            *serial(("load", 1), ("c", 9), ("b", 9), ("a", 9)),
        ],
        [("a", RUN), *serial(("a", 9), ("b", 9))],
        [fact("step_reused", "load"), fact("step_reused", "a"), *serial(("b", 9), ("end", 4))],
    ],
)
def test_where_there_is_little_to_save_nothing_is_said(facts) -> None:
    assert "side by side" not in "".join(plain(plan(**WIDE), *facts))


def test_calls_of_a_mapped_step_could_have_run_side_by_side() -> None:
    facts = [
        *serial(("load", 1)),
        fact("step_expanded", "clean", 1, shape=4),
        *serial(*((f"clean[{index}]", 5) for index in range(4)), ("total", 1)),
    ]
    assert plain(plan(load="", clean="load", total="clean"), *facts)[-1].startswith(
        "  4 steps could have run side by side"
    )


def test_a_schedule_of_so_many_workers() -> None:
    steps = {"load": [], "a": ["load"], "b": ["load"], "skipped": ["a"], "c": ["skipped"], "d": ["b", "c"]}
    busy = {"load": 1.0, "a": 2.0, "b": 4.0, "c": 3.0, "d": 1.0}
    assert simulate(steps, busy, 1) == (11.0, 1)
    assert simulate(steps, busy, 2) == (7.0, 2)
    assert simulate(steps, busy, 9) == (7.0, 2)
    started = time.process_time()
    assert simulate({str(n): [] for n in range(20_000)}, {str(n): 1.0 for n in range(20_000)}, 4) == (5000.0, 4)
    assert time.process_time() - started < 5  # a fraction of a second; quadratic it would not end in that
