"""Says what is being done about images: facts at once, and of what takes more than a second that it is under way."""

from __future__ import annotations

from threading import Condition, Thread
from time import monotonic

from core.text import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

FIRST, THEN = 0.8, 10.0
"""Seconds of silence after which it says what is under way, and after which it says so again."""
_COLUMN = 13


class Voice:
    """Hands lines to `tell`, from one thread at a time. Use it as a context manager: it watches the clock meanwhile."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._change = Condition()
        self._what = ""
        self._began = self._due = self._told = 0.0
        self._waits = False
        self._thread = Thread(target=self._watch, name="core-images", daemon=True)
        self._open = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._open = False
            self._change.notify()
        self._thread.join()

    def say(self, what: str, text: str) -> None:
        """A line: what it is about, and what is to be said of that."""
        with self._change:
            self._tell(f"  {what:<{_COLUMN}}{text}")
            self._told = monotonic()
            self._due = max(self._due, self._told + FIRST if self._waits else self._told + THEN)
            self._change.notify()

    def doing(self, what: str) -> None:
        """From now on `what` is being done; empty: nothing that could take long."""
        with self._change:
            now = monotonic()
            if not self._waits:  # else what came before it was not told yet, and its turn is this one's
                self._due = max(self._told + FIRST, now + FIRST / 3)
            self._what, self._began, self._waits = what, now, bool(what)
            self._change.notify()

    def _watch(self) -> None:
        with self._change:
            while self._open:
                now = monotonic()
                if self._what and now >= self._due:
                    passed = now - self._began
                    after = f"  {duration(passed)}" if passed > THEN / 2 else ""
                    self._tell(f"  {'':<{_COLUMN}}{self._what}{after}")
                    self._told, self._waits = now, False
                    self._due = now + THEN
                self._change.wait(max(self._due - now, 0.05) if self._what else None)
