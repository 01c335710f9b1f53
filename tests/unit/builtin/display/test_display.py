"""The displays: what a person reads while a run is at work."""

from __future__ import annotations

import builtins
import io
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from core.builtin.display import choose
from core.builtin.display.live import LiveDisplay
from core.builtin.display.plain import PlainDisplay
from core.model.event import Event
from core.model.graph import Graph, Node
from core.model.plan import Action, Decision, Plan
from core.ports.observer import Observer
from core.text import duration, first_line, safe

RUN = "0198c2f1-0000-7000-8000-00004f1dab12"
HOSTILE = "\x1b[2J\x1b]0;title\x07\r\u202e\u009b5m"


def play(display, names, facts, pipeline="training"):
    """Show a made-up run: `facts` are kind, step, attempt and data."""
    nodes = tuple(Node(name, f"run:{name}", {}, {}, ("output",)) for name in names)
    display.planned(
        RUN, Plan(Graph(pipeline, nodes), {name: Decision(Action.RUN, "never ran") for name in names}, "default")
    )
    display.event(Event(RUN, "", 0, "w", 0, "run_started", 100.0, 1, {}))
    for seq, (kind, step, attempt, data) in enumerate(facts, 1):
        display.event(Event(RUN, step, attempt, "w", seq, kind, 100.0 + seq / 10, 1, data))
    return display


FACTS = [
    ("step_reused", "load", 1, {"reason": "same code, parameters and inputs as run 9c04e7d1 (3 min ago)"}),
    ("attempt_started", "train", 1, {"reason": "never ran"}),
    ("attempt_failed", "train", 1, {"seconds": 0.4, "error": {"type": "ValueError", "message": "bad\nmore"}}),
    ("attempt_started", "train", 2, {"reason": "attempt 2 of 2 after ValueError"}),
    ("metadata", "train", 2, {"values": {"a": 1}}),
    ("attempt_failed", "train", 2, {"seconds": 0.5, "error": {"type": "ValueError", "message": "bad"}}),
    ("step_skipped", "evaluate", 1, {"reason": "train failed"}),
    ("attempt_started", "plot", 1, {"reason": "code of plot changed (run.py:3)"}),
    ("attempt_completed", "plot", 1, {"seconds": 0.12}),
    ("run_ended", "", 0, {"state": "failed", "error": "train failed"}),
]


def test_the_calls_of_a_mapped_step_take_its_place() -> None:
    facts = [("step_expanded", "clean", 1, {"shape": [2, 1]}), ("attempt_started", "clean[0][1]", 1, {})]
    tally = play(PlainDisplay(io.StringIO()), ["load", "clean", "total"], facts)._tally
    assert list(tally.steps) == ["load", "clean[0][0]", "clean[0][1]", "clean[1][0]", "total"]
    assert (tally.counts["pending"], tally.counts["running"]) == (4, 1)


def test_plain_lines() -> None:
    stream = io.StringIO()
    play(PlainDisplay(stream), ["load", "train", "evaluate", "plot"], FACTS).close()
    assert stream.getvalue() == (
        "training  run 4f1dab12  stack default\n"
        "  load      reused     same code, parameters and inputs as run 9c04e7d1 (3 min ago)\n"
        "  train     running\n"
        "  train     failed     0.40 s  ValueError: bad\n"
        "  train     running    attempt 2 of 2 after ValueError\n"
        "  train     failed     0.50 s  ValueError: bad\n"
        "  evaluate  skipped    train failed\n"
        "  plot      running    code of plot changed (run.py:3)\n"
        "  plot      completed  0.12 s\n"
        "training failed in 1.00 s: 1 ran, 1 reused, 1 failed, 1 skipped\n"
        "  core runs logs 4f1dab12 train\n"
        "  core runs show 4f1dab12\n"
    )


def test_plain_is_short_for_a_big_graph() -> None:
    stream = io.StringIO()
    names = [f"step[{number}]" for number in range(1000)]
    facts = [("attempt_completed", name, 1, {"seconds": 0.1}) for name in names]
    facts[500] = ("attempt_failed", names[500], 1, {"seconds": 0.1, "error": {"type": "E", "message": "x"}})
    play(PlainDisplay(stream), names, facts).close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1 + 10 + 1 + 3
    assert "  100 %  1000 of 1000: 999 ran, 1 failed" in lines
    assert any(line.startswith("  step[500]") for line in lines)


def test_an_interrupted_run_says_so() -> None:
    stream = io.StringIO()
    play(PlainDisplay(stream), ["load"], [("attempt_started", "load", 1, {})]).close()
    assert "training stopped after" in stream.getvalue()


def test_a_stream_that_is_gone_is_no_error() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    stream.close()
    play(display, ["load"], []).close()


def test_what_the_encoding_lacks_shows_as_an_escape() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    play(PlainDisplay(stream), ["größe"], [], pipeline="→").close()
    stream.seek(0)
    assert "\\u2192  run" in stream.read()


@pytest.mark.parametrize("make", [PlainDisplay, lambda stream: LiveDisplay(stream, terminal(stream))])
def test_what_is_made_before_the_run_stands_above_it(make) -> None:
    stream = io.StringIO()
    display = make(stream)
    display.preparing(f"  image  made{HOSTILE}")
    play(display, ["load"], []).close()
    text = stream.getvalue()
    assert text.index("  image  made\\x1b[2J") < text.index("training")
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h"), "the cursor is there again"
    display = make(io.StringIO())
    display.preparing("  image  made")
    display.close()  # it could not be made


@pytest.mark.parametrize("make", [PlainDisplay, lambda stream: LiveDisplay(stream, terminal(stream))])
def test_hostile_text_is_inert(make) -> None:
    stream = io.StringIO()
    name = f"a{HOSTILE}b"
    facts = [
        ("attempt_started", name, 1, {"reason": HOSTILE}),
        ("attempt_failed", name, 1, {"error": {"type": "E", "message": HOSTILE}}),
    ]
    display = play(make(stream), [name], facts, pipeline=HOSTILE)
    display.output(name, "stdout", f"{HOSTILE}\n")
    display.close()
    shown = stream.getvalue()
    for bad in ("\x1b[2J", "\x1b]0;", "\x07", "\u202e", "\u009b"):
        assert bad not in shown


def terminal(stream, **options):
    return Console(file=stream, force_terminal=True, **{"width": 80, "height": 20, **options})


def test_live_draws_the_tree() -> None:
    stream = io.StringIO()
    console = terminal(stream, color_system=None, width=100)
    play(LiveDisplay(stream, console), ["load", "train", "evaluate", "plot", "wait"], FACTS).close()
    last = stream.getvalue().rpartition("training  run 4f1dab12")[2]
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rstrip() for line in last.splitlines()]
    assert lines[1] == "├─ ↺ load            same code, parameters and inputs as run 9c04e7d1 (3 min ago)"
    assert lines[2] == "├─ ✗ train    0.50 s ValueError: bad"
    assert lines[3] == "├─ ○ evaluate        train failed"
    assert lines[5] == "└─ · wait"
    assert lines[6].startswith("training failed in 1.00 s: 1 ran")


def test_in_a_narrow_terminal_only_the_reasons_are_cut() -> None:
    stream = io.StringIO()
    console = terminal(stream, color_system=None, width=46)
    play(LiveDisplay(stream, console), ["load", "train", "evaluate"], FACTS).close()
    last = stream.getvalue().rpartition("training  run 4f1dab12")[2]
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rstrip() for line in last.splitlines()]
    assert lines[1] == "├─ ↺ load            same code, parameters an…"
    assert lines[2] == "├─ ✗ train    0.50 s ValueError: bad"


def test_live_collapses_a_big_graph() -> None:
    stream = io.StringIO()
    names = [f"s{number}" for number in range(5000)]
    facts = [("attempt_completed", name, 1, {"seconds": 0.1}) for name in names[:4000]]
    facts[7] = ("attempt_failed", "s7", 1, {"seconds": 0.1, "error": {"type": "E", "message": "x"}})
    started = time.process_time()
    play(LiveDisplay(stream, terminal(stream, color_system=None)), names, facts).close()
    assert (
        time.process_time() - started < 8
    )  # a fraction of a second; with the whole graph drawn at each event it would not end in that
    last = stream.getvalue().rpartition("training  run 4f1dab12")[2]
    assert "✗ s7" in last
    assert "4000 of 5000 done: 3999 ran, 1 failed, 0 running, 1000 waiting" in last
    assert "s8 " not in last


def test_live_shows_output_above_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("core.builtin.display.live._is_terminal", lambda _: True)
    display = play(LiveDisplay(stream, terminal(stream, color_system=None)), ["load"], [])
    assert display.output("load", "stdout", "one\ntwo without ")
    assert display.output("load", "stdout", "end")
    assert display.output("load", "stderr", "10 %\r20 %\r100 %\n")
    display.close()
    shown = stream.getvalue()
    for line in ("load one", "load two without end", "load 100 %"):
        assert line in shown
    assert "20 %" not in shown


def test_output_that_goes_to_a_file_is_left_alone() -> None:
    display = play(LiveDisplay(io.StringIO(), terminal(io.StringIO())), ["load"], [])
    display._terminals = set()
    assert not display.output("load", "stdout", "text\n")
    display.close()


def test_a_flood_of_output_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("core.builtin.display.live._is_terminal", lambda _: True)
    display = play(LiveDisplay(stream, terminal(stream)), ["load"], [])
    display.output("load", "stdout", "line\n" * 100_000)
    display.close()
    assert stream.getvalue().count("line") < 5000
    assert "lines not shown here" in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "term", "wish", "expected"),
    [
        (Terminal, "xterm", "", LiveDisplay),
        (Terminal, "dumb", "", PlainDisplay),
        (Terminal, "xterm", "plain", PlainDisplay),
        (io.StringIO, "xterm", "auto", PlainDisplay),
        (io.StringIO, "xterm", "live", LiveDisplay),
        (io.StringIO, "xterm", "rich", LiveDisplay),
        (Terminal, "xterm", "none", Observer),
    ],
)
def test_choose(monkeypatch: pytest.MonkeyPatch, stream, term, wish, expected) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("CORE_DISPLAY", raising=False)
    assert type(choose(stream(), wish)) is expected
    monkeypatch.setenv("CORE_DISPLAY", wish or "auto")
    assert type(choose(stream())) is expected


PROGRAM = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_display import play, choose
display = choose(sys.stderr)
try:
    play(display, ["load"], [("attempt_started", "load", 1, {})])
    time.sleep(0.3)
    raise KeyboardInterrupt
finally:
    display.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_an_interrupt_leaves_the_cursor_and_no_colours() -> None:
    environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1", "COLUMNS": "60", "LINES": "20"}
    command = [sys.executable, "-c", PROGRAM, os.path.dirname(__file__)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stderr=theirs, stdout=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    assert process.returncode != 0
    text = shown.decode()
    assert "training stopped after" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


@given(st.text())
def test_safe_text_is_printable(text: str) -> None:
    assert safe(text).isprintable()
    assert len(first_line(text)) <= 200


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.00 s"),
        (0.123, "0.12 s"),
        (9.999, "10 s"),
        (59.7, "1 min 00 s"),
        (125, "2 min 05 s"),
        (11220, "3 h 07 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_prompt_stops_the_drawing_until_the_next_event(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("core.builtin.display.live._is_terminal", lambda _: True)
    monkeypatch.setattr("builtins.input", lambda prompt="": f"{prompt}bob")
    plain_input = builtins.input
    display = play(LiveDisplay(stream, terminal(stream)), ["load"], [])
    assert display.output("load", "stdout", "before\n")
    assert builtins.input("who? ") == "who? bob"
    assert "load before" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    shown = len(stream.getvalue())
    assert not display.output("load", "stdout", "goes to the terminal itself\n")
    time.sleep(0.25)
    assert len(stream.getvalue()) == shown
    display.event(Event(RUN, "load", 1, "w", 99, "attempt_completed", 101.0, 1, {"seconds": 1.0}))
    assert display.output("load", "stdout", "after\n")
    display.close()
    assert builtins.input is plain_input
