"""A fact of a run: appended once, never changed."""

from __future__ import annotations

from enum import StrEnum

from core.model.states import StepState
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EVENT_VERSION = 1


class EventKind(StrEnum):
    """What happened. Events of a run as a whole have the empty step and attempt 0."""

    RUN_STARTED = "run_started"
    """data: pipeline, graph (digest), stack, parameters, tags, code, client."""
    RUN_ENDED = "run_ended"
    """data: state, error."""
    RUN_RESUMED = "run_resumed"
    """A new owner goes on with the run, in a newer epoch. data: client, roots, retry (steps that run once more)."""
    CANCEL_REQUESTED = "cancel_requested"
    """Somebody wants the run to end; written by another than its owner, in epoch 0. data: reason."""
    RUN_HELD = "run_held"
    """Whether the run is kept from garbage collection; the newest counts, epoch 0. data: held, reason."""
    STEP_REUSED = "step_reused"
    """Terminal. data: key, reason, outputs, source (`[run, step, attempt]`)."""
    STEP_SKIPPED = "step_skipped"
    """Terminal. data: reason."""
    ATTEMPT_STARTED = "attempt_started"
    """data: key, reason, code (digest of a document), inputs (name to digests)."""
    ATTEMPT_COMPLETED = "attempt_completed"
    """Terminal. data: key, fingerprint, outputs (name to ArtifactRef), inputs, seconds."""
    ATTEMPT_FAILED = "attempt_failed"
    """Terminal. data: error (type, message, where, traceback), fault (a `Fault`), retry (`reason` of the attempt
    that follows and `seconds` until then; null when none does), seconds."""
    ATTEMPT_CANCELLED = "attempt_cancelled"
    """Terminal. data: reason."""
    ATTEMPT_PREEMPTED = "attempt_preempted"
    """Terminal. data: reason, retry, seconds."""
    STEP_EXPANDED = "step_expanded"
    """A mapped step became its instances. data: shape (number of them; for a nested map, a list of shapes)."""
    JOB_LAUNCHED = "job_launched"
    """An attempt is a job somewhere. data: on (name of the orchestrator component), job, orchestrator (its flavor),
    handle (plain data of the orchestrator's own): a restarted driver finds the job by it."""
    JOB_TAKEN_OVER = "job_taken_over"
    """A new owner of the run goes on with an attempt that an owner before it launched: what was recorded of that in
    older epochs counts still, but for an end of it."""
    ATTEMPT_RETURNED = "attempt_returned"
    """Written by the job itself, in the epoch of its launch: what became of it, for the driver, whose event ends the
    attempt. data: state, outputs, error (as in ATTEMPT_FAILED), kinds (names of the exception's class and its bases),
    fault, seconds."""
    CHECKPOINT = "checkpoint"
    """data: artifact (ArtifactRef), inputs (as in ATTEMPT_STARTED: it is only good for the same)."""
    METADATA = "metadata"
    """data: values logged by the step."""
    HOOK_FAILED = "hook_failed"
    """data: hook, error. Changes nothing else."""


TERMINAL = {
    EventKind.STEP_REUSED: StepState.REUSED,
    EventKind.STEP_SKIPPED: StepState.SKIPPED,
    EventKind.ATTEMPT_COMPLETED: StepState.COMPLETED,
    EventKind.ATTEMPT_FAILED: StepState.FAILED,
    EventKind.ATTEMPT_CANCELLED: StepState.CANCELLED,
    EventKind.ATTEMPT_PREEMPTED: StepState.PREEMPTED,
}
"""Kinds that end an attempt, and the state that each leaves."""


class Event(Value):
    """One fact. The key is `(run, step, attempt, writer, seq)`."""

    run: str
    """UUIDv7 of the run."""
    step: str
    """Node id; empty for the run itself."""
    attempt: int
    """1 for the first try; 0 for the run itself."""
    writer: str
    """Who appends: unique to a process's session with the run."""
    seq: int
    """Counts a writer's events from 0."""
    kind: str
    """An `EventKind`; kinds of later versions are kept and passed over."""
    at: float
    """Seconds since 1970, UTC, by the writer's clock."""
    epoch: int
    """Fencing epoch of the run's lease under which it was written."""
    data: dict[str, Any]
    """Plain data, see `EventKind`."""
    project: str = "default"
    """Project that the run belongs to."""
    actor: str = ""
    """Who started the run, such as `user@host`."""
    version: int = EVENT_VERSION
    """Version of the schema of `data`."""
