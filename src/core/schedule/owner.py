"""A run from its first event to its last, by its owner: lease, capture, launcher; an interruption is recorded, too."""

from __future__ import annotations

from core.capture import Capture
from core.errors import LeaseLostError
from core.execute import Bench
from core.interrupt import Interruptible
from core.model.nothing import NOTHING
from core.model.states import RunState
from core.model.value import Value
from core.record import Recorder, run_id
from core.schedule.inline import Inline
from core.schedule.loop import Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from core.builtin.journal.logs import Courier
    from core.builtin.journal.store import JournalTrackingStore
    from core.bundle import Shipping
    from core.execute import Outputs
    from core.model.artifact import ArtifactRef
    from core.model.plan import Plan
    from core.model.spec import StepSpec
    from core.plan import Planner
    from core.pool import Pool
    from core.ports.artifact_store import ArtifactStore
    from core.ports.materializer import Materializers
    from core.ports.observer import Observer
    from core.ports.orchestrator import Orchestrator
    from core.ports.tracking_store import TrackingStore
    from core.schedule.jobs import Jobs
    from core.schedule.loop import Launcher
    from core.schedule.mixed import Mixed
    from core.schedule.work import Launched


class Conditions(Value):
    """What a run works with and under."""

    tracking: TrackingStore
    store: ArtifactStore
    materializers: Materializers
    observers: Callable[[str], Sequence[Observer]]
    """Gives who is told of the run with this id."""
    log_folder: Callable[[str], str]
    """Gives the folder of its steps' logs."""
    spill: str
    """Folder of events that can't be recorded now."""
    record: Mapping[str, Any]
    """What is recorded of its beginning: client, tags, options."""
    project: str
    actor: str
    inline_limit: int
    """Bytes up to which an artifact lies in the tracking store."""
    fail_fast: bool
    workers: int
    """Processes that run steps side by side; 1: the driver's own process alone."""
    heartbeat: float
    """Seconds between two signs of life."""
    grace: float
    """Seconds that a step has to end after it was told to."""
    log_limit: int
    """Bytes kept of what one attempt prints."""
    resolve: Callable[[Any, str], Any] | None = None
    """Puts secrets in the place of references to them; travels to where a step runs."""
    orchestrators: Mapping[str, Orchestrator] = NOTHING
    """Those that launch jobs, by name: the stack's, unless it is inline, and those that steps name with `runs_on`."""
    default: str = ""
    """Name of the stack's orchestrator."""
    jobs: int = 0
    """Jobs that may be at work at a time."""
    shipping: Shipping | None = None
    """What every job is told."""
    mailbox: JournalTrackingStore | None = None
    """Where jobs write their events: the journal beside the artifacts."""
    secret: bytes = b""
    """Of this home: what jobs report is signed with keys that are made of it."""
    images: Mapping[str, str] = NOTHING
    """Image reference by digest, by node id."""
    run: str = ""
    """Id that a new run gets; empty: any."""
    fetch: Callable[[Mapping[str, ArtifactRef]], str] | None = None
    """Copies outputs that the store lacks from where they lie; gives why it can't, or nothing."""
    courier: Callable[[str, bool], Courier] | None = None
    """Makes what carries the logs of a run (its id, and whether it had an owner before) to where others see them."""


class Past(Value):
    """What earlier owners of a run left to the one that goes on with it."""

    run: str
    """Its id."""
    done: Mapping[str, Outputs]
    """Outputs of the steps that stay finished, by node id."""
    numbers: Mapping[str, int]
    """Number of the newest attempt of each step that has one."""
    again: frozenset[str] = frozenset()
    """Finished steps that a person wants to run once more."""
    launched: Mapping[str, Launched] = NOTHING
    """Attempts that are jobs, and whose end is not recorded, by node id."""


class Ending(Value):
    """How a run ended."""

    run: str
    """Its id."""
    state: RunState
    failed: str = ""
    """The first step that failed."""
    error: BaseException | None = None
    """What it raised."""


def drive(
    plan: Plan, planner: Planner, specs: dict[str, StepSpec], conditions: Conditions, past: Past | None = None
) -> Ending:
    """Run `plan` as the owner of a new run, or go on with the one that `past` tells of."""
    run = past.run if past else conditions.run or run_id()
    observers = conditions.observers(run)
    capture = Capture(conditions.log_folder(run), observers, limit=conditions.log_limit)
    if conditions.courier is not None:
        capture.courier = conditions.courier(run, past is not None)
    recorder = Recorder(
        conditions.tracking,
        run,
        project=conditions.project,
        actor=conditions.actor,
        observers=observers,
        spill=conditions.spill,
        tick=capture.tick,
        heartbeat=conditions.heartbeat,
    )
    bench = Bench(
        run,
        plan.graph.pipeline,
        recorder.emit,
        capture,
        conditions.store,
        conditions.materializers,
        recorder.recorded,
        conditions.inline_limit,
        conditions.resolve,
    )
    with Interruptible(conditions.grace) as interrupts, _launcher(bench, specs, conditions, recorder, past) as launcher:
        recorder.interrupt = interrupts.cancel
        with recorder, capture:
            record = {"roots": sorted({spec.source_root for spec in specs.values()}), **conditions.record}
            loop = Loop(plan, planner, specs, bench, recorder, launcher, interrupts, past, conditions.fetch)
            recorder.begin(plan, record, None if past is None else sorted(past.again))
            if past is not None:
                recorder.tell_resumed(past.done)
            cancelled = None
            try:
                failed, error = loop.run(fail_fast=conditions.fail_fast)
            except LeaseLostError:
                raise  # another owner goes on with the run: it is not ours to end
            except BaseException as raised:
                if isinstance(raised, KeyboardInterrupt):
                    recorder.check()
                    cancelled = interrupts.cancelled
                state = RunState.FAILED if isinstance(raised, Exception) else RunState.CANCELLED
                _end(recorder, capture, interrupts, launcher, loop, state, cancelled or raised)
                if cancelled is None:
                    raise
            else:
                state = RunState.COMPLETED if error is None else RunState.FAILED
                _end(recorder, capture, interrupts, launcher, loop, state, error)
    if cancelled is not None:
        return Ending(run, RunState.CANCELLED, "", cancelled)
    return Ending(run, state, failed, error)


def _end(
    recorder: Recorder,
    capture: Capture,
    interrupts: Interruptible,
    launcher: Launcher,
    loop: Loop,
    state: RunState,
    error: BaseException | None,
) -> None:
    """Record how the run ended."""
    interrupts.hold()
    capture.deliver()
    try:
        launcher.clear()  # before: nobody looks for what an ended run has left
    finally:
        recorder.end(state, error)
    loop.unclaim()


def _launcher(
    bench: Bench, specs: Mapping[str, StepSpec], conditions: Conditions, recorder: Recorder, past: Past | None
) -> Pool | Inline | Jobs | Mixed:
    """Jobs of orchestrators; on this machine, what `_here` gives; both when some steps are jobs and others are not."""
    if not conditions.orchestrators or conditions.shipping is None or conditions.mailbox is None:
        return _here(bench, specs, conditions)
    from core.schedule.jobs import Jobs  # start-up time: a local run launches none
    from core.schedule.work import Yard  # start-up time: the same

    conditions.mailbox.known = recorder.writer
    yard = Yard(
        conditions.orchestrators,
        conditions.default,
        conditions.shipping,
        conditions.tracking,
        conditions.mailbox,
        lambda: recorder.epoch,
        conditions.images,
        conditions.jobs,
        past.launched if past else NOTHING,
        conditions.secret,
    )
    jobs = Jobs(bench, yard, grace=conditions.grace)
    where = {spec.options.runs_on or conditions.default for spec in specs.values()}
    if where <= set(conditions.orchestrators):
        return jobs
    from core.schedule.mixed import Mixed  # start-up time: the same

    return Mixed(_here(bench, specs, conditions), jobs)


def _here(bench: Bench, specs: Mapping[str, StepSpec], conditions: Conditions) -> Pool | Inline:
    """Workers when several are wanted, or when only another process can be ended in time."""
    if conditions.workers == 1 and not any(spec.options.timeout for spec in specs.values()):
        return Inline(bench)
    from core.pool import Pool  # start-up time: most runs need no other process

    return Pool(bench, specs, slots=conditions.workers, grace=conditions.grace)
