"""5. The one scheduler: walks the graph, reuses or runs each step, tries again, skips what a failure leaves behind."""

from __future__ import annotations

import time

from core.capture import Capture
from core.execute import Bench, Result, Task, begin, call_hook, conclude, perform
from core.interrupt import Terminable
from core.model.event import EventKind
from core.model.plan import Action
from core.model.spec import Retry
from core.model.states import RunState, StepState
from core.model.value import Value
from core.record import Recorder, run_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from core.execute import Outputs
    from core.model.artifact import ArtifactRef
    from core.model.graph import Node
    from core.model.plan import Decision, Plan
    from core.model.spec import StepSpec
    from core.plan import Planner
    from core.ports.artifact_store import ArtifactStore
    from core.ports.materializer import Materializers
    from core.ports.observer import Observer
    from core.ports.tracking_store import TrackingStore


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
    """What is recorded of its beginning: client, tags."""
    project: str
    actor: str
    inline_limit: int
    """Bytes up to which an artifact lies in the tracking store."""
    fail_fast: bool


class Ending(Value):
    """How a run ended."""

    run: str
    """Its id."""
    state: RunState
    failed: str = ""
    """The first step that failed."""
    error: BaseException | None = None
    """What it raised."""


def drive(plan: Plan, planner: Planner, specs: Mapping[str, StepSpec], conditions: Conditions) -> Ending:
    """Run `plan` from the first event to the last, as the owner of the run; an interruption is recorded too."""
    run = run_id()
    observers = conditions.observers(run)
    capture = Capture(conditions.log_folder(run), observers)
    recorder = Recorder(
        conditions.tracking,
        run,
        project=conditions.project,
        actor=conditions.actor,
        observers=observers,
        spill=conditions.spill,
        tick=capture.tick,
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
    )
    with Terminable(), recorder, capture:
        roots = sorted({spec.source_root for spec in specs.values()})
        recorder.begin(plan, {**conditions.record, "roots": roots})
        try:
            ending = schedule(plan, planner, specs, bench, recorder, fail_fast=conditions.fail_fast)
        except BaseException as error:
            state = RunState.FAILED if isinstance(error, Exception) else RunState.CANCELLED
            recorder.end(state, error)
            raise
        recorder.end(ending.state, ending.error)
    return ending


def schedule(
    plan: Plan, planner: Planner, specs: Mapping[str, StepSpec], bench: Bench, recorder: Recorder, *, fail_fast: bool
) -> Ending:
    """Run every step of `plan` in this process, in the graph's order, which is a topological one."""
    done: dict[str, Outputs] = {}
    blocked: dict[str, str] = {}
    ending = Ending(bench.run, RunState.COMPLETED)
    for node in plan.graph.nodes:
        reason = _blocked(node, blocked) if blocked else ""
        if reason:
            blocked[node.id] = reason
            bench.emit(EventKind.STEP_SKIPPED, node.id, 1, reason=reason)
            continue
        decision = _decide(planner, plan.decisions[node.id], node, done, bench)
        if decision.action is Action.REUSE and decision.cached is not None:
            done[node.id] = dict(decision.cached.outputs)
            _reuse(bench, node, decision)
            continue
        for digest, text in planner.documents().items():
            recorder.document(digest, text)
        task = Task(node, specs[node.id], decision, 1, done)
        while True:
            begin(bench, task)
            result = perform(bench, task)
            again = _try_again(task, result)
            conclude(bench, task, result, retry=again is not None)
            if result.state is StepState.CANCELLED and result.error is not None:
                raise result.error
            if again is None:
                break
            time.sleep(pause(task.spec.options.retry or Retry(), task.number))
            task = again
        call_hook(bench, task, result)
        if result.error is None:
            done[node.id] = result.outputs
            continue
        if ending.error is None:
            ending = ending._replace(state=RunState.FAILED, failed=node.id, error=result.error)
        blocked[node.id] = f"{node.id} failed"
        if fail_fast:
            blocked[""] = f"{node.id} failed, and --fail-fast stops there"
    return ending


def _blocked(node: Node, blocked: Mapping[str, str]) -> str:
    """Why `node` can't run; empty when all before it is done."""
    if "" in blocked:
        return blocked[""]
    for upstream in node.upstream():
        if upstream in blocked:
            reason = blocked[upstream]
            return reason if reason.endswith("failed") else f"{upstream} was skipped"
    return ""


def _decide(planner: Planner, decision: Decision, node: Node, done: Mapping[str, Outputs], bench: Bench) -> Decision:
    """The plan's decision, made now where it hung on what ran meanwhile; what can't be read is not reused."""
    if not decision.key:
        decision = planner.decide(node, done)
    if decision.action is Action.REUSE and decision.cached is not None:
        gone = _unreadable(decision.cached.outputs, bench)
        if decision.cached.run == bench.run:  # whether it is recorded by now hangs on milliseconds
            gone = f"runs beside {decision.cached.step}, which has the same code, parameters and inputs"
        if gone:
            decision = decision._replace(action=Action.RUN, reason=gone, cached=None)
    return decision


def _unreadable(outputs: Mapping[str, ArtifactRef], bench: Bench) -> str:
    """Which output this stack's store does not have, wherever it was stored then: a moved home keeps its results."""
    store = bench.store
    for name, ref in outputs.items():
        blobs = ref.parts if ref.inline is not None else (ref.digest, *ref.parts)
        if not all(store.exists(digest) for digest in blobs):
            elsewhere = f" (it was stored in {ref.store})" if ref.store != store.uri else ""
            return f"stored output {name} is missing from {store.uri}{elsewhere}"
    return ""


def _reuse(bench: Bench, node: Node, decision: Decision) -> None:
    cached = decision.cached
    if cached is None:
        return
    bench.emit(
        EventKind.STEP_REUSED,
        node.id,
        1,
        key=decision.key,
        pipeline=bench.pipeline,
        reason=decision.reason,
        fingerprint=decision.fingerprint,
        outputs={name: ref.to_data() for name, ref in cached.outputs.items()},
        source=[cached.run, cached.step, cached.attempt],
    )


def _try_again(task: Task, result: Result) -> Task | None:
    """The next attempt, while the step's `Retry` allows one."""
    retry = task.spec.options.retry
    if result.state is not StepState.FAILED or retry is None or task.number >= retry.attempts:
        return None
    if not isinstance(result.error, retry.on):
        return None
    reason = f"attempt {task.number + 1} of {retry.attempts} after {type(result.error).__name__}"
    return task._replace(decision=task.decision._replace(reason=reason), number=task.number + 1)


def pause(retry: Retry, failed: int) -> float:
    """Seconds to wait after `failed` failures."""
    import random  # start-up time: only a retry needs it

    return retry.delay * retry.backoff ** (failed - 1) * (1 + retry.jitter * random.uniform(-1, 1))  # noqa: S311
