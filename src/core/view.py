"""6. Events folded into what a person reads: runs, steps, attempts, artifacts. Reads only; loading is handed to it."""

from __future__ import annotations

from functools import cached_property

from core.artifacts import of_step
from core.errors import CorruptDataError, NotFoundError, UsageError
from core.fold import fold
from core.model.artifact import ArtifactRef
from core.model.event import TERMINAL, EventKind
from core.model.nothing import NOTHING
from core.model.states import RunState, StepState
from core.model.value import Value
from core.text import closest, escape, html_table, iso, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    from core.fold import Folded
    from core.model.event import Event
    from core.model.graph import Graph


class _Named(dict):  # type: ignore[type-arg]  # of views: naming them here would import typing
    """A dict of what has names; a wrong one is told with the closest right one."""

    def __missing__(self, name: str) -> NoReturn:
        raise _NoSuchName(f"there is no {name!r} here{closest(name, self)}", f"there are: {', '.join(self) or 'none'}")


class _NoSuchName(NotFoundError, KeyError):
    """A `KeyError` too, as from any dict."""


class Source(Value):
    """Where a view takes from what it does not hold itself."""

    load: Callable[[ArtifactRef], Any]
    """Gives the value of an artifact."""
    log: Callable[[str, str, int], str]
    """Gives what an attempt printed: run, step, attempt."""
    graph: Callable[[str], Graph]
    """Gives the graph with a digest."""
    draw: Callable[[Graph, Mapping[str, str]], str]
    """Gives the SVG picture of a graph, coloured by the states of its nodes."""
    resume: Callable[[str], RunView] | None = None
    """Goes on with a run."""


class ArtifactView(Value):
    """One output of one attempt."""

    name: str
    """The output's name."""
    ref: ArtifactRef
    producer: tuple[str, str, int]
    """Run, step and attempt whose function made it."""
    source: Source

    def load(self) -> Any:
        """The value; its bytes are verified against the digest.

        Raises `CorruptDataError` or `NotFoundError` when they are not what was stored, and `UntrustedPickleError`.
        """
        try:
            return self.source.load(self.ref)
        except (CorruptDataError, NotFoundError) as error:
            raise of_step(error, self.name, self.producer[1]) from error

    @property
    def preview(self) -> Mapping[str, Any]:
        """Small plain data: shape, dtypes, head, thumbnail, text."""
        return self.ref.preview

    def to_data(self) -> dict[str, Any]:
        """Plain data without the bytes."""
        ref = self.ref
        data = {"digest": ref.digest, "size": ref.size, "type": ref.type, "materializer": ref.materializer}
        return data | {"store": ref.store, "producer": list(self.producer), "preview": dict(ref.preview)}

    def __repr__(self) -> str:
        """For people: name, type and size."""
        return (
            f"<artifact {self.name}: {self.ref.type.partition(':')[2]}, {self.ref.size} bytes, {self.ref.digest[:15]}>"
        )

    def _repr_html_(self) -> str:
        return html_table([("artifact", self.name), *((k, str(v)) for k, v in self.to_data().items())])


class AttemptView(Value):
    """One try of one step."""

    number: int
    """1 for the first."""
    state: StepState
    started_at: float | None
    """Seconds since 1970, UTC; None when it never began (reused, skipped)."""
    ended_at: float | None
    error: Mapping[str, Any] | None
    """type, message, traceback, where."""
    metadata: Mapping[str, Any]
    """What the step logged with `log_metadata`."""
    inputs: Mapping[str, Any]
    """Input name to `[step, output, digest]` of what it took."""
    key: str
    """Cache key."""
    fingerprint: Mapping[str, Any]
    """The parts of the key by name."""
    outputs: Mapping[str, ArtifactView]
    reason: str
    """Why it ran, was reused or was skipped."""
    hooks: tuple[Mapping[str, Any], ...] = ()
    """Hooks that failed: hook, error."""
    fault: str = ""
    """Whose its failure is, a `Fault`; empty when it did not fail."""
    retried: bool = False
    """Whether another attempt was arranged for when it failed."""


class StepView(Value):
    """One node of the graph with its attempts."""

    name: str
    """Node id."""
    state: StepState
    attempts: tuple[AttemptView, ...]
    run: str
    source: Source

    @property
    def last(self) -> AttemptView | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def reason(self) -> str:
        """Why it ran, was reused or was skipped."""
        return self.last.reason if self.last else ""

    @property
    def outputs(self) -> Mapping[str, ArtifactView]:
        """Artifacts of the newest attempt, by output name."""
        return self.last.outputs if self.last else _Named()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the newest attempt logged."""
        return self.last.metadata if self.last else {}

    @property
    def started_at(self) -> float | None:
        """Seconds since 1970 when the first attempt began."""
        return self.attempts[0].started_at if self.attempts else None

    @property
    def ended_at(self) -> float | None:
        """Seconds since 1970 when the newest attempt ended."""
        return self.last.ended_at if self.last else None

    @property
    def error(self) -> Mapping[str, Any] | None:
        """type, message, traceback and where of the newest attempt's failure."""
        return self.last.error if self.last else None

    def log(self, attempt: int | None = None) -> str:
        """What an attempt (the newest) printed and logged; empty when it printed nothing.

        Of much output the beginning and the end, and a line that says how many bytes between them are left out.
        """
        return self.source.log(self.run, self.name, attempt or (self.last.number if self.last else 0))

    def to_data(self) -> dict[str, Any]:
        """Plain data: `name`, `state`, `reason`, `attempts`, `outputs`, ..."""
        return {
            "name": self.name,
            "state": str(self.state),
            "reason": self.reason,
            "started_at": iso(self.started_at),
            "ended_at": iso(self.ended_at),
            "metadata": dict(self.metadata),
            "attempts": [_attempt_data(attempt) for attempt in self.attempts],
            "outputs": {name: artifact.to_data() for name, artifact in self.outputs.items()},
        }

    def __repr__(self) -> str:
        """For people: name, state and reason."""
        return f"<step {self.name}: {self.state}{', ' + self.reason if self.reason else ''}>"


class RunView:
    """One run, as its events tell it. Folded when first looked at."""

    def __init__(self, run: str, read: Callable[[], tuple[Sequence[Event], bool]], source: Source) -> None:
        self.id = run
        self._read = read
        self._source = source

    @cached_property
    def _folded(self) -> Folded:
        events, silent = self._read()
        return fold(events, silent=silent)

    @property
    def pipeline(self) -> str:
        """Name of the pipeline."""
        return str(self._folded.started.get("pipeline", ""))

    @property
    def state(self) -> RunState:
        """What became of it; never "running" once its owner is gone."""
        return self._folded.state

    @property
    def stack(self) -> str:
        """Name of the stack it ran on."""
        return str(self._folded.started.get("stack", ""))

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the pipeline was called with, as plain data."""
        return self._folded.started.get("parameters", {})  # type: ignore[no-any-return]

    @property
    def environment(self) -> Mapping[str, Any]:
        """Python, platform, core and git commit of the client that started it."""
        return self._folded.started.get("client", {})  # type: ignore[no-any-return]

    @property
    def source(self) -> str:
        """`module:qualname` of the pipeline function."""
        return str(self._folded.started.get("source", ""))

    @property
    def options(self) -> Mapping[str, Any]:
        """What the call that began it changed, as plain data: no_cache, fail_fast, steps, workers."""
        return self._folded.started.get("options", {})  # type: ignore[no-any-return]

    @property
    def images(self) -> tuple[Mapping[str, Any], ...]:
        """Images that its steps run in, each with `reference` (by digest) and `steps`; those of resumes come last."""
        return self._folded.images

    @property
    def graph_digest(self) -> str:
        """Digest of the compiled pipeline."""
        return str(self._folded.started.get("graph", ""))

    @property
    def attempts(self) -> Mapping[str, Mapping[int, Sequence[Event]]]:
        """By step and number: the events that count of each attempt."""
        return self._folded.steps

    def resume(self) -> RunView:
        """Go on with the run where it ended or was lost; finished steps stay finished. Gives the view of it then.

        Raises `ConflictError` while its owner is alive, `UsageError` when it is completed, `RunFailed`.
        """
        if self._source.resume is None:
            raise UsageError(f"run {short(self.id)} can't be resumed through this view", "use Client().run(...)")
        return self._source.resume(self.id)

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders from which its steps' modules were imported, on the machine that it ran on."""
        return tuple(self._folded.started.get("roots", ()))

    @property
    def tags(self) -> tuple[str, ...]:
        """Words to find the run by."""
        return tuple(self._folded.started.get("tags", ()))

    @property
    def started_at(self) -> float | None:
        """Seconds since 1970, UTC."""
        return self._folded.started_at

    @property
    def ended_at(self) -> float | None:
        """Seconds since 1970, UTC; None while it is at work or when it was lost."""
        return self._folded.ended_at

    @property
    def error(self) -> str:
        """Why it failed, in one line; empty when it did not."""
        return str(self._folded.ended.get("error", ""))

    @cached_property
    def recorded_graph(self) -> Graph:
        """The compiled pipeline as it was before anything ran."""
        return self._source.graph(self.graph_digest)

    @cached_property
    def graph(self) -> Graph:
        """The compiled pipeline that it ran, with the calls that its mapped steps became in their place."""
        graph = self.recorded_graph
        shapes: dict[str, Any] = {}
        for name in (node.id for node in graph.nodes if node.each):
            for _, events in sorted(self._folded.steps.get(name, {}).items()):
                shapes.update((name, event.data["shape"]) for event in events if event.kind == EventKind.STEP_EXPANDED)
        if not shapes:
            return graph
        from core.model.expand import expand_graph  # start-up time: few graphs have mapped steps

        return expand_graph(graph, shapes)

    @cached_property
    def steps(self) -> dict[str, StepView]:
        """Steps by node id, in the order of the graph; those that have not begun included."""
        folded = self._folded
        names = [node.id for node in self.graph.nodes] if folded.started else list(folded.steps)
        return _Named((name, self._step(name)) for name in names)

    def _step(self, name: str) -> StepView:
        folded = self._folded
        attempts = tuple(
            _attempt(self.id, folded, self._source, *item) for item in sorted(folded.steps.get(name, {}).items())
        )
        state = attempts[-1].state if attempts else StepState.PENDING
        return StepView(name, state, attempts, self.id, self._source)

    def to_data(self, *, steps: bool = True) -> dict[str, Any]:
        """Plain data: `id`, `pipeline`, `state`, `started_at`, `ended_at`, `stack`, ..., and `steps`."""
        data: dict[str, Any] = {
            "id": self.id,
            "pipeline": self.pipeline,
            "state": str(self.state),
            "started_at": iso(self.started_at),
            "ended_at": iso(self.ended_at),
            "stack": self.stack,
            "parameters": dict(self.parameters),
            "tags": list(self.tags),
            "environment": dict(self.environment),
            "error": self.error,
        }
        if self.images:
            data["images"] = {step: image["reference"] for image in self.images for step in image["steps"]}
        if steps:
            data["graph"] = self._folded.started.get("graph", "")
            data["steps"] = [step.to_data() for step in self.steps.values()]
        return data

    def __repr__(self) -> str:
        """For people: pipeline, the end of the id, and state."""
        return f"<run {self.id[-8:]} of {self.pipeline}: {self.state}>"

    def picture(self) -> str:
        """The graph as SVG, each node in the colour of its state."""
        return self._source.draw(self.graph, {name: str(step.state) for name, step in self.steps.items()})

    def _repr_html_(self) -> str:
        rows = [(step.name, f"{step.state} {step.reason}") for step in self.steps.values()]
        return f"<b>{escape(repr(self))}</b>{self.picture()}" + html_table(rows)


def _attempt(run: str, folded: Folded, source: Source, number: int, events: list[Event]) -> AttemptView:
    end = next((event for event in events if event.kind in TERMINAL), None)
    start = next((event for event in events if event.kind == EventKind.ATTEMPT_STARTED), None)
    metadata: dict[str, Any] = {}
    for event in events:
        if event.kind == EventKind.METADATA:
            metadata.update(event.data["values"])
    if end is not None:
        state = TERMINAL[EventKind(end.kind)]
    elif folded.state == RunState.RUNNING and events[-1].epoch >= folded.epoch:
        state = StepState.RUNNING
    else:  # the run ended, its owner fell silent, or another goes on with it
        state = StepState.LOST
    data = (start.data if start else {}) | (end.data if end else {})
    producer = tuple(data.get("source", (run, events[0].step, number)))
    outputs = _Named(
        (name, ArtifactView(name, ArtifactRef.from_data(item), producer, source))
        for name, item in data.get("outputs", {}).items()
        if "[" not in name  # items of it, for the steps that are mapped over them
    )
    return AttemptView(
        number=number,
        state=state,
        started_at=start.at if start else None,
        ended_at=end.at if end else None,
        error=data.get("error"),
        metadata=metadata,
        inputs=data.get("inputs", NOTHING),
        key=data.get("key", ""),
        fingerprint=data.get("fingerprint") or ({"code": data["code"]} if data.get("code") else NOTHING),
        outputs=outputs,
        reason=data.get("reason", ""),
        hooks=tuple(event.data for event in events if event.kind == EventKind.HOOK_FAILED),
        fault=data.get("fault", ""),
        retried=bool(data.get("retry")),
    )


def _attempt_data(attempt: AttemptView) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "state": str(attempt.state),
        "started_at": iso(attempt.started_at),
        "ended_at": iso(attempt.ended_at),
        "error": dict(attempt.error) if attempt.error else None,
        "key": attempt.key,
        "inputs": {name: list(taken) for name, taken in attempt.inputs.items()},
    }
