"""What an orchestrator launches, and what it says of it."""

from __future__ import annotations

from enum import StrEnum

from core.model.nothing import NOTHING
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.model.spec import Resources


class Job(Value):
    """One command to run somewhere. Launching the same id twice gives the same handle."""

    id: str
    """Unique for ever: run, step and attempt in one word."""
    command: tuple[str, ...]
    """Program and arguments."""
    environment: Mapping[str, str] = NOTHING
    image: str | None = None
    """Image reference by digest; None where the orchestrator needs none."""
    resources: Resources | None = None
    deadline: float | None = None
    """Seconds since 1970 at which it dies without us."""
    labels: Mapping[str, str] = NOTHING
    """Tags put on every resource that it creates."""


class JobHandle(Value):
    """Finds a launched job again, from another process too."""

    job: str
    """The job's id."""
    orchestrator: str
    """Flavor that launched it."""
    data: Mapping[str, str] = NOTHING
    """Plain data of the orchestrator's own."""


class JobPhase(StrEnum):
    """Where a job is."""

    PENDING = "pending"
    """Accepted, not at work yet."""
    RUNNING = "running"
    """At work."""
    SUCCEEDED = "succeeded"
    """Exited with 0."""
    FAILED = "failed"
    """Exited with another code, or could not start."""
    CANCELLED = "cancelled"
    """Ended on our word."""
    PREEMPTED = "preempted"
    """The machine was taken away."""
    UNKNOWN = "unknown"
    """The orchestrator knows no such job (any more)."""


class JobState(Value):
    """What an orchestrator says of a job now."""

    phase: JobPhase
    exit_code: int | None = None
    reason: str = ""
    """For people, such as `out of memory (limit 2 GiB)`."""
