"""Two runs side by side: what differs in code, parameters, environment, artifacts, outcomes and timings."""

from __future__ import annotations

from typing import NamedTuple

from core.digest import digest_of
from core.text import readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from core.model.graph import Node
    from core.view import RunView, StepView

    Code = Callable[[str], Mapping[str, Any]]
    """Gives the parts behind a code digest (`CodeFingerprint.parts`: name to digest and place); empty when unknown."""

KINDS = ("graph", "code", "parameter", "environment", "state", "artifact", "time")
"""What a change may be of, in the order in which they are told: causes before effects."""
SLOWER = 1.25
"""Ratio of two times from which on they count as different."""
NOTICEABLE = 0.1
"""Seconds that two times must lie apart to count as different."""


class Change(NamedTuple):
    """One thing that is not the same in both runs."""

    what: str
    """One of `KINDS`."""
    step: str
    """Node id; empty for the run as a whole."""
    name: str
    """Parameter, output, function, ...; empty where the step itself is meant."""
    a: Any
    """What the first run has, as plain data (for code a place, for an artifact a digest); None where it has none."""
    b: Any
    """The same of the second run."""


class RunDiff(NamedTuple):
    """What differs between the runs `a` and `b`."""

    a: str
    """Id of the first run."""
    b: str
    """Id of the second run."""
    changes: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs but, perhaps, the time that it took."""
        return all(change.what == "time" for change in self.changes)

    def to_data(self) -> dict[str, Any]:
        """Plain data: `a`, `b`, `same`, `changes` (objects with `what`, `step`, `name`, `a`, `b`)."""
        return {"a": self.a, "b": self.b, "same": self.same, "changes": [change._asdict() for change in self.changes]}

    def text(self) -> str:
        """For people: one line for each change, by kind."""
        if not self.changes:
            return "nothing differs"
        lines = []
        for kind in KINDS:
            found = [change for change in self.changes if change.what == kind]
            if found:
                lines += [kind, *(f"  {_line(change)}" for change in found)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """For people: both ids, and how many changes there are."""
        return f"<diff of runs {self.a[-8:]} and {self.b[-8:]}: {len(self.changes)} changes>"


def diff(a: RunView, b: RunView, code: Code) -> RunDiff:
    """Compare two runs; steps are matched by node id. `code` tells which functions a changed step is made of."""
    changes = [*_of_runs(a, b)]
    for name in dict.fromkeys([*a.steps, *b.steps]):
        if name in a.steps and name in b.steps:
            changes += _of_steps(a, b, name, code)
        else:
            here = "step" if name in a.steps else None
            changes.append(Change("graph", name, "", here, None if here else "step"))
    changes.sort(key=lambda change: KINDS.index(change.what))
    return RunDiff(a.id, b.id, tuple(changes))


def _of_runs(a: RunView, b: RunView) -> Iterator[Change]:
    if a.pipeline != b.pipeline:
        yield Change("graph", "", "pipeline", a.pipeline, b.pipeline)
    if a.stack != b.stack:
        yield Change("environment", "", "stack", a.stack, b.stack)
    if a.state != b.state:
        yield Change("state", "", "", str(a.state), str(b.state))
    yield from _of_mappings("parameter", "", a.parameters, b.parameters)
    yield from _of_mappings("environment", "", a.environment, b.environment)
    yield from _of_times("", _seconds(a), _seconds(b))


def _of_steps(a: RunView, b: RunView, name: str, code: Code) -> Iterator[Change]:
    one, other = a.steps[name], b.steps[name]
    yield from _of_nodes(a, b, name)
    yield from _of_code(one, other, code)
    if one.state != other.state and {one.state, other.state} != {"completed", "reused"}:
        yield Change("state", name, "", str(one.state), str(other.state))
    for output in dict.fromkeys([*one.outputs, *other.outputs]):
        digests = [step.outputs[output].ref.digest if output in step.outputs else None for step in (one, other)]
        if digests[0] != digests[1]:
            yield Change("artifact", name, output, *digests)
    if {one.state, other.state} == {"completed"}:
        yield from _of_times(name, _seconds(one), _seconds(other))


def _of_nodes(a: RunView, b: RunView, name: str) -> Iterator[Change]:
    """What the two graphs say of a node: which step it is, its parameters, what feeds it, its options."""
    one, other = a.graph.by_id[name], b.graph.by_id[name]
    if one.step != other.step:
        yield Change("graph", name, "function", one.step, other.step)
    if one.inputs != other.inputs or one.after != other.after:
        yield Change("graph", name, "inputs", _feeding(one), _feeding(other))
    yield from _of_mappings("parameter", name, one.parameters, other.parameters)
    yield from _of_mappings("environment", name, _options(one), _options(other))


def _options(node: Node) -> dict[str, Any]:
    """Options of a node; of environment variables, which may hold secrets, only a digest."""
    options = {key: value for key, value in node.options.items() if key != "environment"}
    variables = node.options.get("environment") or {}
    return options | {f"environment.{key}": digest_of(value) for key, value in variables.items()}


def _feeding(node: Node) -> list[str]:
    return sorted(set(node.upstream()))


def _of_code(one: StepView, other: StepView, code: Code) -> Iterator[Change]:
    if not (one.last and other.last):
        return
    before, after = one.last.fingerprint.get("code"), other.last.fingerprint.get("code")
    if before == after or before is None or after is None:  # a step that did not run has no fingerprint
        return
    was, now = code(before), code(after)
    parts = [name for name in dict.fromkeys([*now, *was]) if was.get(name, [""])[0] != now.get(name, [""])[0]]
    for name in parts if was and now else ():
        yield Change("code", one.name, name, _place(was.get(name)), _place(now.get(name)))
    if not (was and now and parts):
        yield Change("code", one.name, "", before, after)


def _place(part: Sequence[str] | None) -> str | None:
    """Where a function stands: `load.py:12`; None where the run has none of that name."""
    return part[1] if part else None


def _of_mappings(what: str, step: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*one, *other]):
        if name not in one or name not in other or one[name] != other[name]:
            yield Change(what, step, name, one.get(name), other.get(name))


def _of_times(step: str, one: float | None, other: float | None) -> Iterator[Change]:
    if one is None or other is None or abs(one - other) < NOTICEABLE:
        return
    if max(one, other) > SLOWER * min(one, other):
        yield Change("time", step, "", round(one, 3), round(other, 3))


def _seconds(timed: RunView | StepView) -> float | None:
    if timed.started_at is None or timed.ended_at is None:
        return None
    return timed.ended_at - timed.started_at


def _line(change: Change) -> str:
    where = ".".join(filter(None, (change.step, change.name)))
    if change.what == "graph" and not change.name:
        return f"{where}: only in {'the first' if change.a else 'the second'} run"
    if change.what == "code":
        return _code_line(change)
    unit = " s" if change.what == "time" else ""
    return f"{where or 'run'}: {_short(change.a)}{unit} -> {_short(change.b)}{unit}"


def _code_line(change: Change) -> str:
    if not change.name:
        return f"{change.step} changed"
    name = change.name.partition(":")[2] or change.name
    verb = "added" if change.a is None else "removed" if change.b is None else "changed"
    return f"{change.step}: {name} {verb} ({change.b or change.a})"


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else readable(value)
    text = text[:15] if text.startswith("blake3:") else text
    return text if len(text) <= 60 else f"{text[:57]}..."
