"""A mapped step becomes its instances once the number of items is known; a map over its results at the same moment."""

from __future__ import annotations

from core.errors import CoreError
from core.execute import Result, Task, conclude
from core.faults import failpoint
from core.model.event import EventKind
from core.model.expand import instances, ready_to_expand, shape_of
from core.model.plan import Action, Decision
from core.model.states import StepState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.execute import Bench, Outputs
    from core.model.graph import Node
    from core.model.spec import StepSpec
    from core.schedule.frontier import Frontier


def expand(
    template: Node,
    frontier: Frontier,
    done: Mapping[str, Outputs],
    specs: dict[str, StepSpec],
    bench: Bench,
    number: Callable[[str], int],
) -> CoreError | None:
    """Put its instances in the place of `template`; an error, which is recorded, when there can be none."""
    todo = [template]
    while todo:
        node = todo.pop()
        spec = specs[node.id]
        try:
            shape = shape_of(node, done, frontier.shapes, limit=spec.options.map_limit)
        except CoreError as error:
            if node is not template:
                continue  # it fails when its own turn comes
            task = Task(node, spec, Decision(Action.RUN, "maps over what ran before it"), number(node.id), done)
            bench.emit(EventKind.ATTEMPT_STARTED, node.id, task.number, reason=task.decision.reason)
            conclude(bench, task, Result(StepState.FAILED, {}, error))
            return error
        bench.emit(EventKind.STEP_EXPANDED, node.id, number(node.id), shape=shape)
        failpoint("step.expanded")
        made = instances(node, shape, frontier.shapes)
        for instance in made:
            specs[instance.id] = spec
        takers = frontier.grow(node.id, shape, made)
        for taker in dict.fromkeys(takers):
            after = frontier.nodes[taker]
            if after.each and ready_to_expand(after, done, frontier.shapes):
                todo.append(after)
    return None
