"""Goes on with a run that another owner left, in the same run; and ends one from outside."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from core.compile import compile_pipeline
from core.errors import ConfigurationError, ConflictError, CoreError, NotFoundError, RunCancelled, RunFailed, UsageError
from core.faults import failpoint
from core.model.artifact import ArtifactRef
from core.model.event import TERMINAL, Event, EventKind
from core.model.job import JobHandle
from core.model.spec import ImageSettings, Resources, Retry, RunOptions
from core.model.states import ENDED_RUN, RunState, StepState
from core.names import locate
from core.prepare import prepare
from core.record import Recorder
from core.schedule import Past, drive
from core.signature import read_inputs
from core.source import imported
from core.text import closest, short
from core.values import from_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from core.compile import Compiled
    from core.execute import Outputs
    from core.model.graph import Graph
    from core.run import Pipeline
    from core.schedule import Ending
    from core.schedule.work import Launched
    from core.view import RunView
    from core.workspace import Workspace

_FINISHED = frozenset({StepState.COMPLETED, StepState.REUSED})


def resume(
    workspace: Workspace,
    run: str,
    target: Pipeline[Any, Any] | None = None,
    *,
    retry: Sequence[str] = (),
    workers: int | None = None,
) -> RunView:
    """Go on with `run`: what is finished stays finished, but for the steps `retry` and what depends on them.

    `target` is its pipeline where that can't be found by the recorded name. Raises `ConflictError` while its owner is
    alive, and when the pipeline is another by now; `UsageError` when there is nothing to do; `RunFailed` as a run does.
    """
    with workspace:
        view, pipeline, options, compiled = regained(workspace, run, target, retry, workers)
        stack = workspace.stack.checked()
        no_cache = pipeline.no_cache(options)
        planner = workspace.planner(compiled.graph, compiled.specs, no_cache)
        plan = planner.plan(stack.name)
        where = workspace.orchestrators(compiled.specs)
        prepare(compiled.specs, where, workspace.registry.materializers(), workspace.refer)
        past = past_of(view, retry, workspace)
        conditions = workspace.conditions(options, where)
        conditions = workspace.provided(conditions, pipeline, compiled.specs, plan, where, view)
        ending = drive(plan, planner, dict(compiled.specs), conditions, past)
    return outcome(pipeline.name, ending, workspace.view(run))


def regained(
    workspace: Workspace, run: str, target: Pipeline[Any, Any] | None, retry: Sequence[str], workers: int | None
) -> tuple[RunView, Pipeline[Any, Any], RunOptions, Compiled]:
    """What `run` is to go on with: its pipeline, compiled to the graph that it began with. Raises as `resume` does."""
    workspace.sync(run)
    view = workspace.view(run)
    _refuse(view, retry)
    pipeline = target or pipeline_of(view)
    options = options_of(view.options, view.tags, workers)
    compiled = compiled_again(pipeline, view.parameters, options)
    _same(view, compiled.graph)
    return view, pipeline, options, compiled


def cancel(workspace: Workspace, run: str, reason: str = "") -> str:
    """Ask the owner of `run` to end it: `requested`; `recorded` when it has none alive and was ended here.

    Raises `ConflictError` for a run that has ended.
    """
    with workspace:
        workspace.sync(run)
        view = workspace.view(run)
        if view.state in ENDED_RUN:
            raise ConflictError(f"run {short(run)} has ended: it is {view.state}", "there is nothing to cancel")
        project, actor = workspace.settings.project, workspace.actor
        writer = f"cancel-{os.getpid():x}-{os.urandom(4).hex()}"
        wish = Event(
            run, "", 0, writer, 0, EventKind.CANCEL_REQUESTED, time.time(), 0, {"reason": reason}, project, actor
        )
        workspace.owned.append([wish])
        if view.state != RunState.LOST:
            return "requested"
        said = f"run {short(run)} was cancelled by {actor}"
        recorder = Recorder(workspace.owned, run, project=project, actor=actor, spill=workspace.spill)
        with recorder:
            _end_jobs(workspace, view)  # before: nobody looks for what an ended run has at work
            failpoint("run.cleared")
            recorder.end(RunState.CANCELLED, RunCancelled(f"{said}: {reason}" if reason else said))
    return "recorded"


def compiled_again(pipeline: Pipeline[Any, Any], parameters: Mapping[str, Any], options: RunOptions) -> Compiled:
    """`pipeline` with parameters that are plain data, as they were recorded."""
    function = pipeline.__wrapped__
    kinds = {spec.name: spec.annotation for spec in read_inputs(function)}
    values = {name: from_plain(value, kinds.get(name)) for name, value in parameters.items()}
    return compile_pipeline(pipeline.name, function, (), values, options)


def _end_jobs(workspace: Workspace, view: RunView) -> None:
    """End what its dead owner left at work, recorded or not; what is away, or not known here, a deadline ends."""
    known = workspace.orchestrators({})
    for launched in _left(view).values():
        with suppress(CoreError):
            if launched.on not in known:
                known[launched.on] = workspace.orchestrator(launched.on)
            if launched.handle is not None:
                known[launched.on].cancel(launched.handle)
    for one in known.values():
        with suppress(CoreError):
            one.finish(view.id)


def _left(view: RunView) -> dict[str, Launched]:
    """Attempts that are jobs, and whose end nobody recorded, by step."""
    found = {}
    for name, attempts in view.attempts.items():
        newest = max(attempts)
        jobs = [event for event in attempts[newest] if event.kind == EventKind.JOB_LAUNCHED]
        if jobs and not any(event.kind in TERMINAL for event in attempts[newest]):
            found[name] = _launched(newest, attempts[newest], jobs)
    return found


def outcome(name: str, ending: Ending, view: RunView) -> RunView:
    """`view` of a run that completed; raises what tells that it did not."""
    if ending.error is None:
        return view
    if isinstance(ending.error, RunCancelled):
        ending.error.run = view
        raise ending.error
    run = short(ending.run)
    failed = RunFailed(
        f"run {run} of pipeline {name!r} failed in step {ending.failed!r}",
        f"see `core runs show {run}` and `core runs logs {run} {ending.failed}`",
    )
    failed.run = view
    raise failed from ending.error


def pipeline_of(view: RunView) -> Pipeline[Any, Any]:
    """The pipeline that a run was made by, found by the name and in the folders that were recorded.

    A file that runs a pipeline while it is imported is read up to that call. Raises `NotFoundError`.
    """
    source = view.source
    module, _, qualname = source.partition(":")
    hint = f"name it: `core runs resume {short(view.id)} FILE:PIPELINE`"
    if not module or module == "__main__" or "<" in qualname:
        raise NotFoundError(
            f"pipeline {view.pipeline!r} of run {short(view.id)} can't be found by name: it is {source!r}", hint
        )
    try:
        found = imported(source, view.roots)
    except (ImportError, AttributeError) as error:
        raise NotFoundError(
            f"pipeline {view.pipeline!r} of run {short(view.id)} is not at {source!r} any more: {error}", hint
        ) from error
    if not hasattr(found, "compile") or not hasattr(found, "__wrapped__"):
        raise NotFoundError(f"{source!r} is {type(found).__name__}, not pipeline {view.pipeline!r}", hint)
    return found  # type: ignore[no-any-return]


def _refuse(view: RunView, retry: Sequence[str]) -> None:
    if view.state == RunState.RUNNING:
        raise ConflictError(
            f"run {short(view.id)} is at work", f"wait for its end, or `core runs cancel {short(view.id)}`"
        )
    if view.state == RunState.COMPLETED and not retry:
        raise UsageError(
            f"run {short(view.id)} is completed: there is nothing to resume",
            f"`core runs retry {short(view.id)} STEP` runs a step and what depends on it once more",
        )
    for name in retry:
        if name not in view.steps and not any(step.startswith(f"{name}[") for step in view.steps):
            hint = f"its steps: {', '.join(view.steps)}"
            raise NotFoundError(f"run {short(view.id)} has no step {name!r}{closest(name, view.steps)}", hint)


def _same(view: RunView, graph: Graph) -> None:
    """Refuse to go on with another graph than the run began with; changed code of steps is fine."""
    if graph.digest == view.graph_digest:
        return
    before = {node.id: node for node in view.recorded_graph.nodes}
    now = graph.by_id
    told = [f"step {name!r} was added" for name in now if name not in before]
    told += [f"step {name!r} was removed" for name in before if name not in now]
    told += [
        f"step {name!r} has other inputs, parameters or options" for name in now if before.get(name, 0) != now[name]
    ]
    told = [text for text in told if not (text.endswith("options") and text.split("'")[1] not in before)]
    raise ConflictError(
        f"pipeline {view.pipeline!r} is not the one that run {short(view.id)} began: "
        f"{'; '.join(told[:3]) or 'its name, parameters or outputs differ'}",
        "undo that, or run the pipeline anew: it reuses what has finished",
    )


def past_of(view: RunView, retry: Sequence[str], workspace: Workspace) -> Past:
    """What is finished and stays so, and the number of the newest attempt of each step.

    What lies in another store is copied. Raises `ConfigurationError` for what can't be reached, `UntrustedPickleError`.
    """
    again = _with_instances(view, retry)
    stale = _downstream(view.graph, again)
    done: dict[str, Outputs] = {}
    numbers = {}
    for name, attempts in view.attempts.items():
        newest = numbers[name] = max(attempts)
        ends = [event for event in attempts[newest] if event.kind in TERMINAL]
        if ends and TERMINAL[EventKind(ends[0].kind)] in _FINISHED and name not in stale:
            outputs = {key: ArtifactRef.from_data(data) for key, data in ends[0].data.get("outputs", {}).items()}
            if _readable(workspace, outputs, name):
                done[name] = outputs
    return Past(view.id, done, numbers, again, _left(view))


def _launched(number: int, events: Sequence[Event], jobs: Sequence[Event]) -> Launched:
    """An attempt that is a job, and whose end nobody recorded."""
    from core.schedule.work import Launched  # start-up time: only runs on other machines come here

    data = jobs[-1].data  # the newest: an earlier one was written before the job was there
    handle = JobHandle(data["job"], data["orchestrator"], data["handle"]) if "handle" in data else None
    key = next((event.data.get("key", "") for event in events if event.kind == EventKind.ATTEMPT_STARTED), "")
    return Launched(number, key, data["on"], handle)


def _readable(workspace: Workspace, outputs: Outputs, step: str) -> bool:
    """Whether the outputs of a finished step can be had; raises `ConfigurationError` when nobody can tell."""
    try:
        return workspace.readable(outputs)
    except ConfigurationError as error:
        raise ConfigurationError(f"step {step!r} has finished, but {error.message}", error.hint) from None


def _with_instances(view: RunView, names: Sequence[str]) -> frozenset[str]:
    return frozenset(step for step in view.steps for name in names if step == name or step.startswith(f"{name}["))


def _downstream(graph: Graph, names: Iterable[str]) -> set[str]:
    """`names` and every node that depends on one of them; nodes stand in topological order."""
    found = set(names)
    for node in graph.nodes:
        if node.id not in found and not found.isdisjoint(node.upstream()):
            found.add(node.id)
    return found


_RECORDS = {"retry": Retry, "resources": Resources, "image": ImageSettings}


def options_of(data: Mapping[str, Any], tags: Sequence[str], workers: int | None = None) -> RunOptions:
    """The options of the call that began a run, from what was recorded of them."""
    no_cache = data.get("no_cache", False)
    steps = {
        name: {key: _option(key, value) for key, value in step.items()} for name, step in data.get("steps", {}).items()
    }
    return RunOptions(
        no_cache=no_cache if isinstance(no_cache, bool) else frozenset(no_cache),
        fail_fast=data.get("fail_fast", False),
        steps=steps,
        tags=tuple(tags),
        workers=data.get("workers") if workers is None else workers,
    )


def _option(name: str, value: Any) -> Any:
    if name in _RECORDS and isinstance(value, dict):
        if "on" in value:
            value = {**value, "on": tuple(locate(kind) for kind in value["on"])}
        return _RECORDS[name](**{key: tuple(v) if isinstance(v, list) else v for key, v in value.items()})
    return locate(value) if name in {"on_success", "on_failure"} and value else value
