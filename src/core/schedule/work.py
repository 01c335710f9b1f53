"""Attempts that are jobs: what a driver keeps of each, and what all of a run need."""

from __future__ import annotations

import time
from threading import Event, Lock

from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from core.builtin.journal.store import JournalTrackingStore
    from core.bundle import Shipping
    from core.execute import Task
    from core.model.job import Job, JobHandle, JobState
    from core.ports.orchestrator import Orchestrator
    from core.ports.tracking_store import TrackingStore

PATIENCE = 60.0
"""Seconds for which an orchestrator or a store may be away before the job is given up."""


class Launched(Value):
    """An attempt that an owner of the run launched before, and of which no end is recorded."""

    number: int
    key: str
    """Cache key of what it works for."""
    on: str
    """Name of the orchestrator component."""
    handle: JobHandle | None
    """None when that owner died before it had it: launching the same job again finds it."""


class Yard(Value):
    """What the jobs of a run need, beside the bench."""

    orchestrators: Mapping[str, Orchestrator]
    """By name: the stack's, and those that steps name with `runs_on`."""
    default: str
    """Name of the stack's."""
    shipping: Shipping
    tracking: TrackingStore
    """The driver's own events."""
    mailbox: JournalTrackingStore
    """Where jobs write theirs: the journal beside the artifacts."""
    epoch: Callable[[], int]
    """Of the driver's lease, now."""
    images: Mapping[str, str]
    """Image reference by digest, by node id."""
    slots: int
    left: Mapping[str, Launched]
    """Jobs of an owner before this one, by node id."""
    secret: bytes
    """Of this home: the keys of jobs are made of it."""
    patience: float = PATIENCE


class Work:
    """One attempt that is a job."""

    def __init__(self, task: Task, job: Job, on: str, orchestrator: Orchestrator, handle: JobHandle | None) -> None:
        self.task = task
        self.job = job
        self.on = on
        self.orchestrator = orchestrator
        self.handle = handle
        self.began = time.monotonic()
        self.wish = ""
        self.due: float | None = None
        """When it is told to end, or, once it was told, ended."""
        self.state: JobState | None = None
        """Its last one, once it has ended."""
        self.settle = 0.0
        """Until when the rest of its output is waited for, or its events, while the store is away."""
        self.log = Lock()
        self.closed = False
        """Whether nobody wants its output any more; read and set under the lock `log`."""
        self.silent = Event()
        """Set when all of its output has come."""
        self.again = False
        """Whether it was launched once more, because it had not heard what to do."""
        self.unknown = 0
        self.away: float | None = None
        """Since when the orchestrator can't be asked for it."""
        self.lent: float | None = None
        """When the credentials end that it has; None: never."""
        self.left = False
        """Whether others were left for it."""
        self.inherited = False
        """Whether an owner before launched it, perhaps of another home, which alone knows its key."""
        self.doubted = False
        """Whether there is a report of its end, and nobody here can tell that it is its own."""

    @property
    def key(self) -> tuple[str, int]:
        """Step and number of the attempt."""
        return self.task.node.id, self.task.number


def quietly(end: Callable[[Any], None], what: Any) -> None:
    """An orchestrator that is away ends nothing; a deadline does."""
    for pause in (0.2, 1.0, 0.0):
        try:
            if what is not None:
                end(what)
        except Exception:  # noqa: BLE001 - border of a plugin
            time.sleep(pause)
        else:
            return
