"""Calls the function: as a run of its own, or aside, which leaves nothing behind."""

from __future__ import annotations

from core.model.graph import Constant, Edge, Graph, Node, present
from core.model.nothing import NOTHING
from core.model.plan import Action, CachedResult, Decision, Plan
from core.model.spec import RunOptions
from core.model.value import Value
from core.replay.aside import aside
from core.replay.want import FINISHED, want
from core.resume import outcome
from core.schedule import drive
from core.text import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.replay.want import Wanted
    from core.view import ArtifactView, RunView
    from core.workspace import Workspace

TAG = "replay"
"""Tag of the runs that replays are recorded as."""


class Replay(Value):
    """What became of a step that was replayed."""

    of: tuple[str, str, int]
    """Run, step and attempt that were replayed."""
    changes: tuple[str, ...]
    """What is not as it was then: code, parameters, Python, core; for people."""
    outputs: Mapping[str, ArtifactView]
    """What it returned now, by output name."""
    recorded: Mapping[str, ArtifactView]
    """What it returned then; empty when that attempt did not complete."""
    metadata: Mapping[str, Any]
    """What it logged now."""
    run: RunView | None
    """The run that it was recorded as, or None."""

    @property
    def differing(self) -> tuple[str, ...]:
        """Names of the outputs that are not what was recorded then."""
        names = dict.fromkeys([*self.recorded, *self.outputs]) if self.recorded else ()
        return tuple(name for name in names if _digest(self.recorded, name) != _digest(self.outputs, name))

    def __repr__(self) -> str:
        """For people: what was replayed, and how many outputs differ."""
        run, step, attempt = self.of
        return f"<replay of {step}, attempt {attempt} of run {short(run)}: {len(self.differing)} outputs differ>"


def replay(
    workspace: Workspace,
    run: str,
    step: str,
    *,
    attempt: int | None = None,
    parameters: Mapping[str, Any] = NOTHING,
    record: bool = True,
) -> Replay:
    """Call `step` again with what `attempt` of it (the newest that began) took in `run`, in this process.

    Raises `NotFoundError` for a step, an attempt, code or inputs that are not there, `ParameterError` for parameters
    that do not fit, and `RunFailed` from what the step raises.
    """
    with workspace:
        return carry_out(workspace, want(workspace, run, step, attempt=attempt, parameters=parameters), record=record)


def carry_out(workspace: Workspace, wanted: Wanted, *, record: bool) -> Replay:
    """Call the function."""
    attempt = wanted.attempt
    recorded = attempt.outputs if attempt.state in FINISHED else {}
    of = (wanted.view.id, wanted.node.id, attempt.number)
    if record:
        view = _as_run(workspace, wanted)
        step = view.steps[wanted.node.id]
        return Replay(of, wanted.changes, step.outputs, recorded, step.metadata, view)
    outputs, metadata = aside(workspace, wanted, _whole(wanted))
    return Replay(of, wanted.changes, outputs, recorded, metadata, None)


def _as_run(workspace: Workspace, wanted: Wanted) -> RunView:
    """A run of the step, and of what it takes from: those are reused."""
    view, node = wanted.view, _whole(wanted)
    known = view.graph.by_id
    before = tuple(Node(each, known[each].step, {}, {}, known[each].outputs) for each in wanted.taken)
    outputs = {output: Edge(node.id, output) for output in node.outputs}
    graph = Graph(wanted.pipeline, (*before, node), node.parameters, "", outputs)
    decisions = {node.id: wanted.decision}
    for each, refs in wanted.taken.items():
        attempt = next(a for a in view.steps[each].attempts if a.number == wanted.producers[each])
        cached = CachedResult(view.id, each, attempt.number, attempt.ended_at or 0.0, refs)
        reason = f"recorded in run {short(view.id)}"
        decisions[each] = Decision(Action.REUSE, reason, attempt.key or TAG, attempt.fingerprint, cached)
    conditions = workspace.conditions(RunOptions(tags=(TAG,), workers=1))
    record = {**conditions.record, "replay": [view.id, node.id, wanted.attempt.number]}
    plan = Plan(graph, decisions, workspace.stack.name)
    ending = drive(plan, wanted.planner, {node.id: wanted.spec}, conditions._replace(record=record))
    return outcome(wanted.pipeline, ending, workspace.view(ending.run))


def _whole(wanted: Wanted) -> Node:
    """The node without what it took from steps that were skipped on purpose."""
    inputs = {name: present(binding, wanted.taken) for name, binding in wanted.node.inputs.items()}
    filled = {name: Constant(None) if binding is None else binding for name, binding in inputs.items()}
    return wanted.node._replace(inputs=filled, optional=())


def _digest(outputs: Mapping[str, ArtifactView], name: str) -> str:
    return outputs[name].ref.digest if name in outputs else ""
