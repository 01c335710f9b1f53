"""The states of runs and steps, in words that stay."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """State of a run, derived from its attempts and its owner's lease."""

    PENDING = "pending"
    """Recorded, no step has begun."""
    RUNNING = "running"
    """Its owner holds the lease and works."""
    COMPLETED = "completed"
    """Every step completed, was reused, or was skipped on purpose."""
    FAILED = "failed"
    """A step failed, and its retries are used up."""
    CANCELLED = "cancelled"
    """A person or a program ended it."""
    LOST = "lost"
    """Its owner fell silent: the lease ran out before an end was recorded."""


class StepState(StrEnum):
    """State of a step: that of its newest attempt."""

    PENDING = "pending"
    """Waits for its inputs."""
    RUNNING = "running"
    """An attempt is at work."""
    COMPLETED = "completed"
    """The function returned and its outputs are stored."""
    REUSED = "reused"
    """Nothing ran: outputs of an earlier attempt with the same cache key stand in."""
    FAILED = "failed"
    """The last attempt raised, timed out, or its outputs could not be stored."""
    SKIPPED = "skipped"
    """Something that it depends on did not complete."""
    CANCELLED = "cancelled"
    """Ended from outside on a person's word."""
    LOST = "lost"
    """Was running when the run's owner fell silent."""
    PREEMPTED = "preempted"
    """The infrastructure took the machine away."""


class Fault(StrEnum):
    """Whose a failure is: each kind has a budget of tries of its own, see `Retry`."""

    USER = "user"
    """The step's own: it raised, ran out of time, crashed its interpreter, or returned what can't be stored."""
    INFRASTRUCTURE = "infrastructure"
    """Not the step's: its process was killed from outside, the machine went away, a store could not be reached."""


ENDED_RUN = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED})
