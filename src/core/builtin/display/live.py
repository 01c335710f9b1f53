"""The display for terminals: a tree of the run that is drawn again at most ten times a second."""

from __future__ import annotations

import atexit
import builtins
import re
import sys
import time
from collections import deque
from itertools import islice
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from core.builtin.display.calls import grouped, told, worst
from core.builtin.display.tally import Tally
from core.model.states import StepState
from core.ports.observer import Observer
from core.text import duration, safe, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from typing import Any, TextIO

    from rich.console import ConsoleOptions, RenderResult
    from rich.status import Status

    from core.builtin.display.tally import Step
    from core.model.event import Event
    from core.model.plan import Plan

REFRESH = 10
"""Times a second at most that the tree is drawn."""
LINES = 2000
"""Lines that one drawing prints above the tree at most; the newest ones win."""
PARTIAL = 10_000
"""Characters of a line without an end that are held back."""
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_LOOKS = {
    StepState.PENDING: ("·", ".", "dim"),
    StepState.RUNNING: ("▶", ">", "bold cyan"),
    StepState.COMPLETED: ("✓", "+", "green"),
    StepState.REUSED: ("↺", "=", "blue"),
    StepState.FAILED: ("✗", "x", "bold red"),
    StepState.SKIPPED: ("○", "o", "yellow"),
    StepState.CANCELLED: ("■", "#", "yellow"),
    StepState.PREEMPTED: ("◆", "*", "yellow"),
}
_AGAIN = ("↻", "~", "yellow")
_OTHER = ("?", "?", "")
_SHOWN_FIRST = {StepState.FAILED, StepState.RUNNING}
MANY = 4
"""Calls of a mapped step from which on they are one line, and only those that run or failed have their own."""


class LiveDisplay(Observer):
    """Draws on a terminal. What steps print appears above the tree."""

    def __init__(self, stream: TextIO, console: Console | None = None) -> None:
        self._console = console or Console(file=stream, highlight=False, markup=False, emoji=False)
        self._tally = Tally()
        self._live: _Live | None = None
        self._paused = False
        self._prompts: tuple[Callable[..., Any], Callable[..., Any]] | None = None
        self._queue: deque[tuple[str, str]] = deque()
        self._dropped = 0
        self._partial: dict[tuple[str, str], str] = {}
        self._status: Status | None = None
        self._terminals = {name for name in ("stdout", "stderr") if _is_terminal(getattr(sys, name))}

    def preparing(self, text: str) -> None:
        """Print the line above a sign that something is under way."""
        self._console.print(Text(safe(text)), soft_wrap=True)
        if self._status is None:
            self._status = self._console.status("preparing images", spinner="line")
            self._status.start()

    def _prepared(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def planned(self, run: str, plan: Plan) -> None:
        """Begin to draw."""
        self._prepared()
        self._tally.plan(run, plan)
        atexit.register(self.close)  # a program that exits without closing must not leave the cursor hidden
        self._prompts = (builtins.input, sys.breakpointhook)
        builtins.input = self._asking(builtins.input)
        sys.breakpointhook = self._asking(sys.breakpointhook)
        self._begin()

    def _begin(self) -> None:
        self._live = _Live(
            Picture(self._tally),
            console=self._console,
            refresh_per_second=REFRESH,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.drain = self._drain
        self._live.start(refresh=True)

    def _asking(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """`ask` (`input`, a debugger) with the drawing stopped before it, for it would write over what is typed."""

        def asking(*args: Any, **kwargs: Any) -> Any:
            self._pause()
            return ask(*args, **kwargs)

        return asking

    def _pause(self) -> None:
        """Leave the terminal to the step until its next event."""
        live, self._live = self._live, None
        if live is not None:
            self._paused = True
            self._finish_lines()
            live.transient = True
            self._drain()
            live.stop()

    def resumed(self, done: Collection[str]) -> None:
        """Note what was finished before, and say how much."""
        self._tally.resume(done)
        self._queue.append(("", self._tally.resumed()))

    def waiting(self, step: str, run: str) -> None:
        """Note whose result the step waits for."""
        self._tally.wait(step, run)

    def event(self, event: Event) -> None:
        """Note the change; the next drawing shows it."""
        step = self._tally.take(event)
        if self._paused:
            self._paused = False
            self._begin()
        if step is not None and step.state is not StepState.RUNNING:
            self._finish_lines()

    def _finish_lines(self) -> None:
        """Show the lines that have no end yet."""
        while self._partial:
            (step, _), rest = self._partial.popitem()
            self._show(step, [rest])

    def output(self, step: str, stream: str, text: str) -> bool:
        """Show whole lines above the tree; a stream that goes to a file or a pipe is left alone."""
        if self._live is None or stream not in self._terminals:
            return False
        *lines, rest = (self._partial.pop((step, stream), "") + text).split("\n")
        if len(rest) > PARTIAL:
            lines, rest = [*lines, rest], ""
        if rest:
            self._partial[step, stream] = rest
        if lines:
            self._show(step, lines)
        return True

    def close(self) -> None:
        """Draw the end and give the terminal back as it was."""
        self._prepared()
        if self._prompts is None:
            return
        (builtins.input, sys.breakpointhook), self._prompts = self._prompts, None
        atexit.unregister(self.close)
        self._finish_lines()
        try:
            if self._live is not None:
                self._live.stop()
            for line in self._tally.ending(time.time()):
                self._console.print(Text(line), soft_wrap=True)
        except (OSError, ValueError):
            pass  # the terminal is gone: the run matters more
        self._live = None

    def _show(self, step: str, lines: Sequence[str]) -> None:
        """Put lines in the queue; the next drawing prints them, so that a step that prints much is not held up."""
        if list(lines) == [""]:
            return
        self._queue.extend((step, line) for line in lines[-LINES:])
        self._dropped += max(len(lines) - LINES, 0)
        while len(self._queue) > LINES:
            self._queue.popleft()
            self._dropped += 1

    def _drain(self) -> None:
        """Print above the tree, each line with its step."""
        text = Text()
        if self._dropped:
            text.append(f"({self._dropped} lines not shown here; `core runs logs {short(self._tally.run)}` has them)\n")
            self._dropped = 0
        while self._queue:
            step, line = self._queue.popleft()
            text.append(f"{safe(step)} " if step else "", style="dim").append(_plain(line) + "\n")
        if text:
            text.right_crop(1)
            self._console.print(text, soft_wrap=True)


class _Live(Live):
    """Prints what waits before it draws."""

    drain: Callable[[], None]

    def refresh(self) -> None:
        self.drain()
        super().refresh()


class Picture:
    """The tree as it stands when it is drawn."""

    def __init__(self, tally: Tally, clock: Callable[[], float] = time.time) -> None:
        self._tally = tally
        self._clock = clock

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        tally = self._tally
        now = tally.ended or self._clock()
        plain = not options.encoding.startswith("utf")
        head = Text(no_wrap=True, overflow="ellipsis")
        head.append(tally.pipeline, style="bold").append(f"  run {short(tally.run)}  stack {tally.stack}", style="dim")
        head.append(f"  {duration(now - tally.began)}" if tally.began else "", style="dim")
        every = tally.steps.values()
        room = max(options.height or console.size.height, 8) - 4
        lines = list(islice(_lines(every, now, plain=plain), room + 1))
        if len(lines) <= room:
            yield Group(head, _tree(lines, options.max_width, plain=plain))
            return
        chosen = [step for step in every if step.counted in _SHOWN_FIRST]
        lines = [_line(step, now, plain=plain) for step in chosen[-room:]]
        yield Group(head, _tree(lines, options.max_width, plain=plain), _counts(tally, len(chosen) - room))


class _Line(NamedTuple):
    """One line of the tree."""

    mark: str
    style: str
    name: Text
    took: str
    why: Text


def _lines(steps: Iterable[Step], now: float, *, plain: bool) -> Iterator[_Line]:
    """A line for each step; many calls of a mapped one share theirs."""
    for template, calls in grouped(steps):
        if template and len(calls) >= MANY:
            icon, letter, style = _LOOKS.get(worst(calls), _OTHER)
            name = Text(f"{template} {'x' if plain else '×'} {len(calls)}", "bold")  # noqa: RUF001 - "times"
            yield _Line(letter if plain else icon, style, name, "", _cut(told(calls), "dim"))
        for call in calls:
            if not template or len(calls) < MANY or call.counted in _SHOWN_FIRST or call.again:
                yield _line(call, now, plain=plain)


def _line(step: Step, now: float, *, plain: bool) -> _Line:
    icon, letter, style = _AGAIN if step.again else _LOOKS.get(step.state, _OTHER)
    seconds = now - step.began if step.state is StepState.RUNNING else step.seconds
    name_style = style if step.state in _SHOWN_FIRST else "dim" if step.state is StepState.PENDING else ""
    note_style = "red" if step.counted is StepState.FAILED else "dim"
    note = step.told(now)
    if not note and step.state is StepState.REUSED:
        note = "reused"
    took = duration(seconds) if seconds is not None else ""
    return _Line(letter if plain else icon, style, Text(step.name, name_style), took, _cut(note, note_style))


def _cut(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _tree(lines: Sequence[_Line], width: int, *, plain: bool) -> Table:
    """One line for each step: branch, icon, name, time, and why."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(8, min(40, width - 36)))
    table.add_column(justify="right", no_wrap=True)
    table.add_column()  # the only one that gives way where the terminal is narrow; its text is cut, not wrapped
    for number, line in enumerate(lines, 1):
        branch = "'-" if plain else "└─"
        if number < len(lines):
            branch = "|-" if plain else "├─"
        mark = Text(f"{branch} ", style="dim").append(line.mark, style=line.style)
        table.add_row(mark, line.name, Text(line.took, "dim"), line.why)
    return table


def _counts(tally: Tally, hidden: int) -> Text:
    """What a graph that does not fit comes to."""
    waiting = tally.counts[StepState.PENDING]
    text = Text(f"{tally.done} of {len(tally.steps)} done: {tally.summary()}", no_wrap=True, overflow="ellipsis")
    text.append(f", {tally.counts[StepState.RUNNING]} running, {waiting} waiting" if waiting else "", style="dim")
    return text.append(f"  ({hidden} more running or failed)" if hidden > 0 else "", style="dim")


def _plain(line: str) -> str:
    """The last form of a line, without escape sequences."""
    if line.isprintable():
        return line
    last = line.rstrip("\r").rpartition("\r")[2]
    return safe(_SEQUENCE.sub("", last).expandtabs())


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False  # closed
