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
    bundle: bytes = b""
    """What the command must be told, secrets included: it reads that from its stdin, or from the file that
    `CORE_BUNDLE` names. It never stands in arguments, environment, image, or where the orchestrator shows a job."""
    folders: tuple[str, ...] = ()
    """Folders of this machine that it must see under the same paths, writable: the artifacts of a local store."""
    driver: bool = False
    """Whether it is itself the driver of a run: it must reach the orchestrator that launches it, and nothing of it may
    be left once it has ended, for nobody may be there to remove it."""


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


class JobCause(StrEnum):
    """What ended a job that did not succeed: each is another error, with a budget of tries of its own."""

    EXIT = "exit"
    """Its command exited, or a signal killed it; the exit code tells."""
    OUT_OF_MEMORY = "out-of-memory"
    """It wanted more memory than it may have."""
    IMAGE = "image"
    """Its image can't be had."""
    DEADLINE = "deadline"
    """Its time was over."""
    INFRASTRUCTURE = "infrastructure"
    """What it ran on failed: it could not be started, or was taken down with its machine."""


class JobState(Value):
    """What an orchestrator says of a job now."""

    phase: JobPhase
    exit_code: int | None = None
    """As a shell tells it: 128 and the number of the signal that killed it."""
    reason: str = ""
    """For people, such as `out of memory (limit 2 GiB)`."""
    cause: JobCause = JobCause.EXIT
    """Of a `FAILED` one."""


ENDED_JOB = frozenset({JobPhase.SUCCEEDED, JobPhase.FAILED, JobPhase.CANCELLED, JobPhase.PREEMPTED})
"""Phases after which nothing more happens."""
