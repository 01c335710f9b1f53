"""`core runs logs`: what the steps of a run printed, and with `-f` what they print; hostile characters inert."""

from __future__ import annotations

import os
import sys
import time
from codecs import getincrementaldecoder

from core.cli.command import Command, natural
from core.cli.lookup import opened
from core.cli.output import last_state, readable_log, say
from core.errors import NotFoundError, StoreError
from core.logs import Reader, offsets
from core.model.states import RunState, StepState
from core.text import closest, safe, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from core.cli.command import Parser
    from core.client import Client
    from core.view import RunView, StepView

LOOK = 0.2
"""Seconds between two looks at the files."""
ASK = 1.0
"""Seconds between two looks at the run: has it ended, did new attempts begin."""
ELSEWHERE = 2.0
"""The same for a run of others who share the stack's store, and between two looks at its logs there: two requests."""
LATE = 5.0
"""Seconds after the end of an attempt in which its hook may still print."""
LINE = 1 << 16
"""Characters of a line without an end that are held back."""
SEQUENCE = 32
"""Characters of an escape sequence, at most."""


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="id of a run, its first or last characters, or `latest`")
    parser.add_argument("step", metavar="STEP", nargs="?", help="only this step, or all calls of this mapped step")
    parser.add_argument("--attempt", type=natural, help="this try instead of the newest; 1 is the first")
    parser.add_argument("--tail", type=natural, metavar="LINES", help="only the last lines of each")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the run has ended, with new steps and attempts"
    )


def _logs(arguments: Namespace) -> int:
    with opened() as client:
        run = client.run(arguments.run)
        _check(run, arguments)
        if arguments.follow:
            return _follow(client, run, arguments)
        client.fetch_logs(run, arguments.step)
        chosen = _chosen(run, arguments.step)
        page = Page(headed=arguments.step is None or len(chosen) > 1)
        for step in chosen:
            number = arguments.attempt or (step.last.number if step.last else 0)
            log = Log(client.workspace.log_folder(run.id), step.name, number)
            log.tail = arguments.tail
            page.show(log, log.new())
            page.end(log)
            if arguments.step == step.name and not log.begun and step.state == StepState.REUSED:
                say(f"{safe(step.name)} did not run here: {step.reason}")
    return 0


def _check(run: RunView, arguments: Namespace) -> None:
    """Raise `NotFoundError` for a step or an attempt that there is not."""
    wanted = arguments.step
    if wanted is None:
        return
    chosen = _chosen(run, wanted)
    if not chosen and not (arguments.follow and wanted.partition("[")[0] in run.steps):
        hint = f"its steps: {', '.join(run.steps)}"
        raise NotFoundError(f"run {short(run.id)} has no step {wanted!r}{closest(wanted, run.steps)}", hint)
    numbers = {attempt.number for step in chosen for attempt in step.attempts}
    if arguments.attempt is not None and arguments.attempt not in numbers and not arguments.follow:
        raise NotFoundError(
            f"step {wanted!r} of run {short(run.id)} has no attempt {arguments.attempt}",
            f"it has {len(numbers)}",
        )


def _chosen(run: RunView, wanted: str | None) -> list[StepView]:
    """The steps that are meant: all, or one with its mapped calls."""
    return [
        step
        for name, step in run.steps.items()
        if wanted is None or name == wanted or (name.startswith(f"{wanted}[") and step.attempts)
    ]


def _follow(client: Client, run: RunView, arguments: Namespace) -> int:
    following = Following(client.workspace.log_folder(run.id), arguments)
    page = Page(headed=arguments.step is None)
    try:
        while True:
            following.ask(run)
            over = run.state != RunState.RUNNING
            until = time.monotonic() + (ELSEWHERE if _fetched(client, run, arguments.step) else ASK)
            while True:
                found = offsets(following.folder)
                for log in following.at_work(over=over):
                    page.show(log, log.new(found))
                page.draw()
                if over or time.monotonic() >= until:
                    break
                time.sleep(LOOK)
            if over:
                break
            run = client.run(run.id)
    except KeyboardInterrupt:
        page.wipe()
        return 130
    for log in following.logs.values():
        page.end(log)
    lost = f"lost: its owner fell silent; `core runs resume {short(run.id)}` goes on with it"
    say(f"run {short(run.id)} is {lost if run.state == RunState.LOST else run.state}")
    return 0


def _fetched(client: Client, run: RunView, step: str | None) -> bool:
    """Whether what the run printed came from elsewhere; a store that is away is asked again."""
    try:
        return client.fetch_logs(run, step)
    except StoreError as error:
        say(error.message)
        return True


class Following:
    """The attempts that are followed: at first the newest of each step, then all that begin."""

    def __init__(self, folder: str, arguments: Namespace) -> None:
        self.folder = folder
        self.logs: dict[tuple[str, int], Log] = {}
        self._arguments = arguments
        self._newest: dict[str, int] = {}
        self._first = True

    def ask(self, run: RunView) -> None:
        """Add the attempts that are new, and note which have ended."""
        wanted = self._arguments.attempt
        for step in _chosen(run, self._arguments.step):
            begun = [attempt for attempt in step.attempts if attempt.started_at is not None]
            for attempt in begun[-1:] if self._first and wanted is None else begun:
                key = (step.name, attempt.number)
                if attempt.number > self._newest.get(step.name, 0) and wanted in (None, attempt.number):
                    self._newest[step.name] = attempt.number
                    self.logs[key] = Log(self.folder, *key)
                    self.logs[key].tail = self._arguments.tail if self._first else None
                known = self.logs.get(key)
                if known and known.ended is None and attempt.ended_at is not None:
                    known.ended = time.monotonic()
        self._first = False

    def at_work(self, *, over: bool) -> list[Log]:
        """Logs that may have grown; all of them when the run is over."""
        now = time.monotonic()
        return [log for log in self.logs.values() if over or log.ended is None or now - log.ended < LATE]


class Log:
    """The log of one attempt on its way to the screen."""

    def __init__(self, folder: str, step: str, attempt: int) -> None:
        self.name = step if attempt < 2 else f"{step}, attempt {attempt}"
        self.tail: int | None = None
        """How many of the last lines to begin with; None for all."""
        self._reader = Reader(folder, step, attempt)
        self.text = Inert(colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        self.begun = False
        """Whether anything of it was shown."""
        self.broken = False
        """Whether what was shown of it ends within a line."""
        self.ended: float | None = None
        """When (monotonic seconds) the attempt was seen to have ended."""

    def new(self, found: dict[str, list[int]] | None = None) -> Iterable[bytes]:
        """What was printed since the last call; `found` is what `offsets` gives."""
        if self.tail is None:
            return self._reader.new(found)
        lines, self.tail = self.tail, None
        return [self._reader.tail(lines)]


class Inert:
    """Makes text that arrives in pieces inert, by whole lines; what may be cut in two waits for the next piece."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._held = ""

    def feed(self, data: bytes, *, ended: bool = False) -> str:
        """What can be shown now; all of it when it has `ended`."""
        text = self._held + self._decode(data, ended)
        cut = text.rfind("\n") + 1
        lines, rest = text[:cut], text[cut:]
        if "\r" in rest:
            rest = last_state(rest) + ("\r" if rest.endswith("\r") else "")
        if ended:
            lines, rest = lines + rest, ""
        elif len(rest) > LINE:
            cut = rest.rfind("\x1b", len(rest) - SEQUENCE)
            cut = len(rest) if cut < 0 else cut
            lines, rest = lines + rest[:cut], rest[cut:]
        self._held = rest
        return readable_log(lines, colour=self._colour)

    @property
    def partial(self) -> str:
        """The line that has no end yet, inert and without colours."""
        return readable_log(self._held, colour=False)


class Page:
    """Standard output: logs one after another or in turn, each under its name."""

    def __init__(self, *, headed: bool) -> None:
        self._headed = headed
        self._log: Log | None = None
        self._drawn = ""

    def show(self, log: Log, pieces: Iterable[bytes]) -> None:
        """Write what is new of a log."""
        for piece in pieces:
            self._write(log, log.text.feed(piece))

    def end(self, log: Log) -> None:
        """Write what was held back of a log."""
        self._write(log, log.text.feed(b"", ended=True))
        if log is self._log and log.broken:
            self._put("\n")
            log.broken = False

    def draw(self) -> None:
        """Let readers have all; in a terminal, show the line without an end (a progress bar) of the log shown last."""
        if sys.stdout.isatty() and self._log is not None:
            partial = self._log.text.partial
            if partial != self._drawn and not self._log.broken:
                width = os.get_terminal_size(sys.stdout.fileno()).columns or 80
                sys.stdout.write(f"\r{partial[: width - 1]}\x1b[K")
                self._drawn = partial
        sys.stdout.flush()

    def wipe(self) -> None:
        """Take away what was drawn."""
        if self._drawn:
            sys.stdout.write("\r\x1b[K")
            self._drawn = ""

    def _write(self, log: Log, text: str) -> None:
        if not text:
            return
        self.wipe()
        if log is not self._log:
            if self._log is not None and self._log.broken:
                self._put("\n")
                self._log.broken = False
            if self._headed:
                say(f"== {safe(log.name)}")
            self._log = log
        log.begun = True
        log.broken = not text.endswith("\n")
        self._put(text)

    def _put(self, text: str) -> None:
        sys.stdout.write(f"{text}\x1b[0m" if "\x1b[" in text else text)


LOGS = Command(
    "print what the steps of a run printed",
    _arguments,
    _logs,
    "Of much output the beginning and the newest part are kept (`log_limit`). Ctrl-C ends the following, not the run:\n"
    "    core runs logs latest train -f",
)
