"""Ctrl-C and SIGTERM during a run: the step is told, the run ends in order, then the process as its sender expects."""

from __future__ import annotations

import os
import signal
import threading

from core.context import running
from core.errors import PACKAGE, RunCancelled, theirs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, Self, TypeVar

    T = TypeVar("T")


BRIEFLY = 0.02
"""Seconds after which core looks again whether it has done what it was at for the step."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; raised in the main thread, through the running step."""


class Interruptible:
    """While entered, SIGINT and SIGTERM tell the running step to end, and then raise, in the main thread.

    A step that looks at `StepContext.stopping` has `grace` seconds to return; the second signal raises at once. Left by
    SIGTERM, the process ends itself by SIGTERM (exit code 143). Does nothing outside the main thread, and where the
    program handles a signal itself.
    """

    def __init__(self, grace: float) -> None:
        self.told: type[BaseException] | None = None
        """What will be raised once the step that runs has ended."""
        self._grace = grace
        self._pid = os.getpid()
        self._before: dict[int, Any] = {}
        self._count = 0
        self._held = False
        self._telling = False
        self.cancelled: RunCancelled | None = None
        """What a person said who ended the run from outside."""

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
            for number, default in defaults.items():
                if signal.getsignal(number) == default:
                    signal.signal(number, self._arrived)
                    self._before[number] = default
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            return
        if issubclass(kind, Terminated) and signal.SIGTERM in self._before:
            os.kill(os.getpid(), signal.SIGTERM)

    def cancel(self, said: str) -> None:
        """Somebody wants the run to end, and says `said`; may be called in any thread.

        With an empty text nobody does, but what the run does is in vain.
        """
        if said:
            self.cancelled = RunCancelled(said, "what was finished is kept: `core runs resume` goes on with it")
        ours = [number for number in (signal.SIGINT, signal.SIGTERM) if number in self._before]
        if ours:  # a shell has its jobs in the background ignore SIGINT
            os.kill(self._pid, ours[0])
        else:
            self.told = KeyboardInterrupt  # between two steps: this thread can't be interrupted

    def check(self) -> None:
        """Raise what was put off until the step's end."""
        if self.told is not None:
            raise self.told

    def hold(self) -> None:
        """From now on only the third signal raises: the end of the run is being recorded."""
        self._held = True
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a child that was forked within a step: not its run
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._count += 1
        self.told = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        self._act(frame)

    def _act(self, frame: FrameType | None) -> None:
        """Tell the step or interrupt it; later, while core is at work: what it records or stores is not to be torn."""
        if self._held and self._count < 3:
            return
        if (self._count < 3 and _at_work(frame)) or (self._count == 1 and _is_whole(frame)):
            self._alarm(self._again, BRIEFLY)
            return
        step = running()
        if step is not None and not self._telling and self._count == 1:
            self._telling = True
            if step.tell():
                self._alarm(self._over, self._grace)
                return
        self._over()

    def _again(self, _number: int, frame: FrameType | None) -> None:
        self._act(frame)

    def _over(self, *_: object) -> None:
        raise self.told or KeyboardInterrupt

    def _alarm(self, handler: Callable[[int, FrameType | None], None], seconds: float) -> None:
        """Call `handler` in `seconds`, unless the program has an alarm of its own; the second signal raises anyway."""
        if signal.SIGALRM not in self._before:
            if signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:
                return
            self._before[signal.SIGALRM] = signal.SIG_DFL
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))


def doze(wait: Callable[[Any], T], seconds: float | None) -> T:
    """`wait(seconds)`: the one place of core's own where an interruption may be raised."""
    return wait(seconds)


def whole(work: Callable[[], T]) -> T:
    """`work()`: a library does it for core, and the first signal waits for it: torn, it would leave something open."""
    return work()


def _is_whole(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not whole.__code__:
        frame = frame.f_back
    return frame is not None


def _at_work(frame: FrameType | None) -> bool:
    """Whether core is at work just now: the innermost frame that is not the standard library's is core's."""
    while frame is not None:
        name = frame.f_code.co_filename
        if theirs(name):
            return False
        if name.startswith(PACKAGE):
            return frame.f_code is not doze.__code__
        frame = frame.f_back
    return False
