"""Single flight: of several runs that want the same result one works for it, the others wait for it here."""

from __future__ import annotations

import time

from core.model.event import TERMINAL, EventKind
from core.model.states import RunState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.record import Recorder

SHORTEST = 0.01
"""Seconds between two looks, at first."""
LONGEST = 0.25
"""The same, at most."""
STARTING = 5.0
"""Seconds that who works may take, at least, until the record of its start can be read."""


class Flight:
    """Nodes that wait for another run's result."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._waiting: dict[str, str] = {}
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._looked = time.monotonic()
        self._overdue: set[str] = set()
        self._silent: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether one waits."""
        return bool(self._due)

    def pause(self) -> float:
        """Seconds until one may look again."""
        return max(min(self._due.values()) - time.monotonic(), 0.0) if self._due else float("inf")

    def wait(self, node: str, key: str) -> None:
        """`node` wants the result with the cache key `key`, for which another run works."""
        if node not in self._waiting:
            self._waiting[node] = key
            self._recorder.tell_waiting(node, self._worker(key)[0])
        pause = self._pauses[node] = min(2 * self._pauses.get(node, SHORTEST / 2), LONGEST)
        self._due[node] = time.monotonic() + pause

    def landed(self) -> list[str]:
        """Nodes that may look again; they come back by `wait` when it is too early."""
        now = time.monotonic()
        if now - self._looked >= self._recorder.heartbeat:
            self._looked = now
            self._look()
        found = [node for node, due in self._due.items() if due <= now]
        for node in found:
            del self._due[node]
        return found

    def over(self, node: str) -> bool:
        """Whether `node` waited here; it does no more."""
        return self._waiting.pop(node, None) is not None

    def overdue(self, node: str) -> bool:
        """Whether whoever works for `node` is silent, though its process is there: paused, for example."""
        return node in self._overdue

    def _look(self) -> None:
        now = time.monotonic()
        for node, key in self._waiting.items():
            state = self._worker(key)[1] if node in self._due else RunState.RUNNING
            if state == RunState.RUNNING:
                self._silent.pop(node, None)
                continue
            patience = (
                2 * self._recorder.heartbeat
            )  # it may just have died, and the next one not have recorded its start
            if now - self._silent.setdefault(node, now) >= (patience if state else max(patience, STARTING)):
                self._overdue.add(node)

    def _worker(self, key: str) -> tuple[str, str]:
        """Id and state of the run that works for `key`, also between two attempts; empty when none has recorded that.

        An earlier owner of this very run counts as lost: it is fenced off, but holds the claim for as long as it is
        paused. A process that was paused before it recorded its start is not known at all.
        """
        tracking, between = self._recorder.tracking, ("", "")
        for state in (RunState.RUNNING, RunState.LOST):
            for row in tracking.runs(state=state, limit=None if state == RunState.RUNNING else 20):
                if row.id == self._recorder.run:
                    continue
                events = tracking.events(row.id)
                ended = {event[1:3] for event in events if event.kind in TERMINAL}
                for event in events:
                    if event.kind == EventKind.ATTEMPT_STARTED and event.data.get("key") == key:
                        if event[1:3] not in ended:
                            return row.id, row.state
                        if state == RunState.RUNNING:
                            between = row.id, row.state
        if not between[0]:
            mine = tracking.events(self._recorder.run)
            if any(event.kind == EventKind.ATTEMPT_STARTED and event.data.get("key") == key for event in mine):
                return "", RunState.LOST
        return between
