"""Looks up what an attempt took, what its step is now, and what has changed since; refuses what can't be replayed."""

from __future__ import annotations

import time

from core.artifacts import AGAIN, of_step
from core.compile.bind import gathered
from core.errors import NotFoundError, ParameterError, UsageError
from core.model.artifact import ArtifactRef
from core.model.event import TERMINAL, EventKind
from core.model.graph import Graph, edges_of
from core.model.nothing import NOTHING
from core.model.spec import MISSING, Retry, StepOptions, StepSpec
from core.model.states import StepState
from core.model.value import Value
from core.names import source_root
from core.plan import Planner
from core.replay.changes import client_changes, function_of, step_changes
from core.signature import read_signature
from core.source import imported
from core.text import closest, short
from core.values import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.execute import Outputs
    from core.model.event import Event
    from core.model.graph import Node
    from core.model.plan import Decision
    from core.view import AttemptView, RunView
    from core.workspace import Workspace

PREFIX = "replay of "
"""Begins the name of the pipeline that a replay is recorded as a run of."""
FINISHED = frozenset({StepState.COMPLETED, StepState.REUSED})


class Wanted(Value):
    """An attempt that is to be replayed; `want` makes it."""

    view: RunView
    attempt: AttemptView
    node: Node
    """As the run had it, with the parameters of the replay."""
    spec: StepSpec
    """The step as it is defined now."""
    taken: Mapping[str, Outputs]
    """What it took, by node and output."""
    producers: Mapping[str, int]
    """The attempt of each node that it took from."""
    decision: Decision
    planner: Planner
    changes: tuple[str, ...]
    """What is not as it was then, for people."""

    @property
    def pipeline(self) -> str:
        """Name of the pipeline that the replay is a run of."""
        return PREFIX + self.view.pipeline.removeprefix(PREFIX)


class _Recalling(Planner):
    """Reuses whatever is not to be replayed."""

    def may_reuse(self, node: Node) -> bool:
        """Only what it has no step for: that is recorded."""
        return node.id not in self.specs


def want(
    workspace: Workspace,
    run: str,
    step: str,
    *,
    attempt: int | None = None,
    parameters: Mapping[str, Any] = NOTHING,
    lenient: bool = False,
) -> Wanted:
    """Look everything up, and refuse what can't be replayed; `lenient` reads parameters that are text."""
    view = workspace.view(run)
    node = _node(view, step)
    found = _attempt(view, step, attempt)
    taken, producers = _taken(view, node, found)
    for name, outputs in taken.items():
        gone = workspace.fetch(outputs)
        if gone:
            raise of_step(NotFoundError(gone, AGAIN), next(iter(outputs)), name)
    spec = _spec(view, node)
    before = node._replace(parameters=_completed(node, spec))
    node = before._replace(parameters={**before.parameters, **_changed(before, spec, parameters, lenient=lenient)})
    planner = _Recalling(
        Graph(PREFIX + view.pipeline, (node,)),
        {node.id: spec},
        workspace.tracking,
        project=workspace.settings.project,
        no_cache=True,
        now=time.time(),
    )
    was = planner.decide(before, taken).fingerprint
    decision = planner.decide(node, taken)
    document = workspace.tracking.document
    told = step_changes({**was, **found.fingerprint}, decision.fingerprint, spec.function, node.step, document)
    told += client_changes(view)
    decision = decision._replace(reason=f"replay of attempt {found.number} in run {short(view.id)}")
    return Wanted(view, found, node, spec, taken, producers, decision, planner, tuple(told))


def _node(view: RunView, step: str) -> Node:
    if step not in view.steps:
        calls = [name for name in view.steps if name.startswith(f"{step}[")]
        hint = f"its steps: {', '.join(view.steps)}"
        if calls:
            raise UsageError(
                f"step {step!r} of run {short(view.id)} was called {len(calls)} times", f"name one call: {calls[0]!r}"
            )
        raise NotFoundError(f"run {short(view.id)} has no step {step!r}{closest(step, view.steps)}", hint)
    node = view.graph.by_id[step]
    return node._replace(after=(), each=(), when=None, template="")


def _attempt(view: RunView, step: str, number: int | None) -> AttemptView:
    """The attempt with that number, or the newest that began or was reused."""
    known = view.steps[step].attempts
    chosen = [each for each in known if number in (None, each.number)]
    if known and not chosen:
        has = f"it has {known[-1].number}"
        raise NotFoundError(f"step {step!r} of run {short(view.id)} has no attempt {number}", has)
    chosen = [each for each in chosen if each.started_at is not None or each.state is StepState.REUSED]
    if chosen:
        return chosen[-1]
    why = f" ({known[-1].reason})" if known and known[-1].reason else ""
    raise UsageError(
        f"step {step!r} of run {short(view.id)} never began{why}: it has no inputs to replay it with",
        f"go on with the run: `core runs resume {short(view.id)}`",
    )


def _taken(view: RunView, node: Node, attempt: AttemptView) -> tuple[dict[str, Outputs], dict[str, int]]:
    """The outputs that `attempt` took, by node, and the attempts that gave them."""
    edges = [(edge.node, edge.output, "") for binding in node.inputs.values() for edge in edges_of(binding)]
    known = attempt.state is not StepState.REUSED  # what was reused took nothing: what it would have taken counts
    if known:
        edges = [(name, output, digest) for taken in attempt.inputs.values() for name, output, digest in taken]
    found: dict[str, Outputs] = {}
    producers: dict[str, int] = {}
    for name, output, digest in edges:
        ended = [_ended(events) for _, events in sorted(view.attempts.get(name, {}).items(), reverse=True)]
        for event in filter(None, ended):
            data = event.data.get("outputs", {}).get(output)
            if data is not None and digest in {"", data["digest"]}:
                found.setdefault(name, {})[output] = ArtifactRef.from_data(data)
                producers[name] = event.attempt
                break
        else:
            if known:
                what = f"output {output!r} of step {name!r}, which step {node.id!r} took, is not recorded any more"
                raise NotFoundError(what, f"run {short(view.id)} can't be replayed there: run the pipeline again")
    return found, producers


def _ended(events: Sequence[Event]) -> Event | None:
    """The event that ended an attempt well."""
    ends = sorted((event for event in events if event.kind in TERMINAL), key=lambda e: (e.seq, e.writer))
    return ends[0] if ends and TERMINAL[EventKind(ends[0].kind)] in FINISHED else None


def _spec(view: RunView, node: Node) -> StepSpec:
    """The step as it is defined now, with what of its options makes its result; one try, in this process."""
    module, _, qualname = node.step.partition(":")
    what = f"step {node.id!r} of run {short(view.id)}"
    if "<" in qualname:
        raise NotFoundError(
            f"{what} can't be found by name: it is {node.step!r}", "move the function to the top level of a module"
        )
    try:
        found = imported(node.step, view.roots)
    except (ImportError, AttributeError) as error:
        where = ", ".join(view.roots) or "no folder"
        raise NotFoundError(
            f"{what} is not at {node.step!r} any more: {error}", f"bring it back; it was imported from {where}"
        ) from error
    function = function_of(found)
    if not callable(function):
        raise NotFoundError(f"{node.step!r} is {type(found).__name__}, not {what}", "bring the step back")
    options = StepOptions(
        cache=False,
        retry=Retry(attempts=1, infrastructure=0),
        environment=node.options.get("environment", NOTHING),
        materializers=node.options.get("materializers", NOTHING),
    )
    return StepSpec(node.step, qualname.rpartition(".")[2], function, source_root(module), "", options)


def _completed(node: Node, spec: StepSpec) -> dict[str, Any]:
    """The recorded parameters, with the defaults of those that the function did not have then."""
    parameters = dict(node.parameters)
    for each in read_signature(spec.function).inputs:
        if each.name not in node.inputs and each.name not in parameters and each.default is not MISSING:
            wide = gathered(each)
            parameters[each.name] = to_plain(each.default, wide.annotation, _where(each.name, node))
    return parameters


def _changed(node: Node, spec: StepSpec, given: Mapping[str, Any], *, lenient: bool) -> dict[str, Any]:
    """The parameters `given` in the place of the recorded ones, as plain data."""
    inputs = {each.name: gathered(each) for each in read_signature(spec.function).inputs}
    known = [name for name in inputs if name not in node.inputs]
    names = f"its parameters are {', '.join(known) or 'none'}"
    plain = {}
    for name, value in given.items():
        if name in node.inputs:
            taken = ", ".join(f"{edge.node}/{edge.output}" for edge in edges_of(node.inputs[name]))
            raise ParameterError(f"{name!r} of step {node.id!r} is no parameter: it took {taken}", names)
        if name not in inputs:
            raise ParameterError(f"step {node.id!r} has no parameter {name!r}{closest(name, known)}", names)
        plain[name] = to_plain(value, inputs[name].annotation, _where(name, node), lenient=lenient)
    for name in known:
        if name not in plain and name not in node.parameters and not inputs[name].variadic:
            raise ParameterError(
                f"step {node.id!r} takes a parameter {name!r} now, which the run does not know",
                f"give it: `-p {name}=...`, or `parameters={{{name!r}: ...}}`",
            )
    return plain


def _where(name: str, node: Node) -> str:
    return f"parameter {name!r} of step {node.id!r}"
