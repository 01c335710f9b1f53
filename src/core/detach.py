"""A run that goes on without its client: its driver is itself a job, told all that it needs, and the client may go.

What it is told (`Errand`) goes the way of a step's bundle: never in arguments, environment, image, or what the engine
shows. It holds the stack as it is now, secrets filled in where steps and components refer to them, and credentials that
live for a while. What gives new ones stays here: the run has as long as they have, unless its machine can renew them
(`core.identity`).
"""

from __future__ import annotations

import json
import os
import time
from threading import Thread

from core.bundle import LIFE
from core.caller import recorded_options
from core.errors import ConfigurationError, CoreError, InfrastructureError, UsageError
from core.faults import failpoint
from core.model.event import EventKind
from core.model.job import ENDED_JOB, Job, JobPhase
from core.model.value import Value
from core.prepare import prepare
from core.provide import DRIVER, Order, make
from core.record import run_id
from core.resume import past_of, regained
from core.secrets.reference import references
from core.ship import entry_for_driver
from core.text import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from core.compile import Compiled
    from core.image.made import Made
    from core.model.event import Event
    from core.model.job import JobHandle
    from core.model.plan import Plan
    from core.model.spec import RunOptions, StepSpec
    from core.ports.component import Component
    from core.ports.orchestrator import Orchestrator
    from core.run import Pipeline
    from core.settings import Settings
    from core.view import RunView
    from core.workspace import Workspace

VERSION = 3
START = 120.0
"""Seconds for which the client waits for the first word of the driver: pulling its image takes time."""
LOOK = 0.3
"""Seconds between two looks at the driver's job."""
ASK = 1.5
"""Seconds between two looks whether it has recorded that the run began."""
MARGIN = 60.0
"""Seconds before credentials end in which the run is told to end and records that."""
LEAST = 300.0
"""Seconds that a run must have."""
TAIL = 20
"""Lines of the driver's output that are shown when it could not begin."""
HERE = frozenset({"home", "stack", "display"})
"""Settings that do not travel."""


class Errand(Value):
    """What the driver is told. Plain data."""

    run: str
    pipeline: str
    """`module:qualname`."""
    roots: tuple[str, ...]
    """Folders on the client from which the steps' modules can be imported: recorded for who goes on with the run."""
    graph: str
    """Digest of the graph that the client compiled."""
    parameters: Mapping[str, Any]
    record: Mapping[str, Any]
    """What is recorded of the call: tags, options."""
    settings: Mapping[str, Any]
    """Of `core.settings.Settings`."""
    actor: str
    stack: str
    """Name of the stack."""
    store: Mapping[str, Any]
    """The artifact store, see `core.ship.entry_for_driver`."""
    orchestrators: Mapping[str, Mapping[str, Any]]
    """By name, the stack's first."""
    secrets: Mapping[str, str]
    """What steps refer to, by `name.key`."""
    container_registry: Mapping[str, Any] | None
    """What the steps' images are pulled from; None where they lie on the engine."""
    images: Mapping[str, str]
    """Image reference by digest, by node id."""
    results: Sequence[tuple[str, Sequence[Any]]]
    """Earlier results that the plan reuses: their events, each with the journal that it is from."""
    until: float
    """Seconds since 1970 at which the run is told to end."""
    again: Sequence[str] | None = None
    """Steps of a run that goes on which are to run once more; None for a new run."""
    workers: int | None = None
    """What the call that goes on with a run says."""


def pack(errand: Errand) -> bytes:
    """The errand as JSON in UTF-8."""
    return json.dumps({"version": VERSION, **errand._asdict()}).encode()


def unpack(data: bytes) -> Errand:
    """The errand that `pack` wrote; raises `InfrastructureError` when it is cut, and `ConfigurationError`."""
    try:
        fields = json.loads(data)
    except ValueError:
        said = f"this driver was told only a part of what it should do ({len(data)} bytes): its client ended meanwhile"
        raise InfrastructureError(said, "run it again") from None
    if fields.pop("version", None) != VERSION:
        hint = "core is another version in the image than on the client: build the image again"
        raise ConfigurationError("this core can't read what it was told", hint)
    return Errand(**fields)


def detach(
    pipeline: Pipeline[Any, Any],
    parameters: Mapping[str, Any],
    options: RunOptions,
    workspace: Workspace,
    say: Callable[[str], None] = lambda _: None,
) -> RunView:
    """Begin a run whose driver is a job of the stack's orchestrator; gives its view once the driver has begun it.

    `say` tells people what they should know before. Raises as `pipeline.run` does before anything ran, and
    `InfrastructureError` when the driver could not begin.
    """
    compiled = pipeline.compile(parameters, options)
    with workspace:
        return _leave(_Call(run_id(), pipeline, pipeline.merged(options), compiled), workspace, say)


def resume_detached(
    workspace: Workspace,
    run: str,
    target: Pipeline[Any, Any] | None = None,
    *,
    retry: Sequence[str] = (),
    workers: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> RunView:
    """As `core.resume.resume`, with a driver that is a job; raises as that and `detach` do, but for the run's end."""
    with workspace:
        view, pipeline, options, compiled = regained(workspace, run, target, retry, workers)
        _refuse(workspace)
        _hand_over(workspace, view.id)
        past = past_of(view, retry, workspace)
        call = _Call(view.id, pipeline, options, compiled, view.images, tuple(retry), workers, tuple(past.done))
        return _leave(call, workspace, say)


def _hand_over(workspace: Workspace, run: str) -> None:
    """Make a run's journal whole, and its lease free: what this home knows of both, its driver can't.

    Raises `ConflictError` while its owner is alive.
    """
    owned = workspace.owned
    owned.release(owned.acquire(run, f"hand-over-{os.urandom(8).hex()}", 3 * workspace.settings.heartbeat))


class _Call(Value):
    """What a driver shall do."""

    run: str
    pipeline: Pipeline[Any, Any]
    options: RunOptions
    compiled: Compiled
    images: Sequence[Mapping[str, Any]] = ()
    """What a run that goes on recorded of its images."""
    again: tuple[str, ...] | None = None
    """Steps of such a run which are to run once more; None for a new run."""
    workers: int | None = None
    """What was said now of how many."""
    done: tuple[str, ...] = ()
    """Its steps that have finished and stay so."""


def _leave(call: _Call, workspace: Workspace, say: Callable[[str], None]) -> RunView:
    run, pipeline, options, (graph, specs) = call.run, call.pipeline, call.options, call.compiled
    stack = workspace.stack.checked()
    _refuse(workspace)
    plan = workspace.planner(graph, specs, pipeline.no_cache(options)).plan(stack.name)
    where = workspace.orchestrators(specs)
    prepare(specs, where, workspace.registry.materializers(), workspace.refer)
    workspace.conditions(options, where)  # refuses a store that jobs can't reach
    kept = stack.container_registry
    deadline, because = deadline_of([stack.artifact_store, *where.values(), *((kept,) if kept else ())])
    if because:
        say(f"the run has {(deadline - time.time()) / 60:.0f} minutes: {because}")
    made = _images(call, workspace, where, say)
    images = {node: one.reference for one in made for node in one.steps}
    image = images.pop(DRIVER, None)
    errand = Errand(
        run=run,
        pipeline=pipeline.id,
        roots=tuple(sorted({spec.source_root for spec in specs.values()})),
        graph=graph.digest,
        parameters=dict(graph.parameters),
        record=_record(options, made),
        settings=_settings(workspace.settings),
        actor=workspace.actor,
        stack=stack.name,
        store=entry_for_driver(stack.artifact_store),
        orchestrators={name: entry_for_driver(one) for name, one in where.items()},
        secrets=_secrets(workspace, specs),
        images=images,
        container_registry=entry_for_driver(kept) if kept else None,
        results=[*_results(workspace, plan), *_kept(workspace, call)],
        until=time.time() + LIFE,
        again=call.again,
        workers=call.workers,
    )
    began = Beginning(workspace, stack.orchestrator, errand, image)
    began.launch()
    began.wait(say)
    return workspace.view(run)


def _images(
    call: _Call, workspace: Workspace, orchestrators: Mapping[str, Orchestrator], say: Callable[[str], None]
) -> Sequence[Made]:
    """Those of every step, whatever is reused, and of the driver."""
    pipeline, specs = call.pipeline, call.compiled.specs
    image = pipeline.options.image
    order = Order(pipeline.name, image, specs, orchestrators, run=call.run, past=call.images, driver=True)
    nodes = order.nodes()
    return [*(make(workspace, order, nodes, say) if nodes else ()), *order.ready()]


def _record(options: RunOptions, made: Sequence[Made]) -> dict[str, Any]:
    """What is to be recorded of the call: images, tags, options."""
    images = [one._replace(steps=tuple(node for node in one.steps if node != DRIVER)).to_record() for one in made]
    return {"tags": list(options.tags), "images": images, **recorded_options(options)}


def _refuse(workspace: Workspace) -> None:
    stack = workspace.stack
    if "detach" not in stack.orchestrator.capabilities:
        raise UsageError(
            f"orchestrator {stack.orchestrator.name!r} ({stack.orchestrator.flavor}) of stack {stack.name!r} can't run "
            "a driver: --detach has no place to leave it",
            "choose a stack whose orchestrator runs steps elsewhere, such as `docker`: `core stack list`",
        )
    if not stack.artifact_store.shared:
        name = stack.artifact_store.name
        raise ConfigurationError(
            f"nobody else sees what is recorded in artifact store {name!r}: a detached run could not be followed",
            f"`core artifact-store update {name} --shared true`, or a stack whose store is a bucket",
        )


def _settings(settings: Settings) -> dict[str, Any]:
    """What of the settings holds there, too; plugins that are modules can be imported, files lie here."""
    plugins = [name for name in settings.plugins if not name.endswith(".py")]
    return {**{key: value for key, value in settings._asdict().items() if key not in HERE}, "plugins": plugins}


def deadline_of(components: Sequence[Component]) -> tuple[float, str]:
    """When the credentials that a driver is lent end, and which component's end first; empty where none do.

    Raises `ConfigurationError` when they end so soon that the driver may not have begun by then.
    """
    deadline, because = time.time() + LIFE, ""
    for component in components:
        given = component.credentials() if component.credentials is not None else None
        if given is None or given.expires_at is None or given.expires_at - MARGIN > deadline:
            continue
        if given.expires_at - MARGIN - LEAST < time.time():
            minutes = (given.expires_at - time.time()) / 60
            raise ConfigurationError(
                f"{credentials_of(component)} end in {minutes:.0f} minutes: too soon to leave a run alone with them",
                "let the connector give them for longer, or run it without --detach",
            )
        deadline = given.expires_at - MARGIN
        because = f"{credentials_of(component)} end then, unless the machine it runs on has a role that opens the same"
    return deadline, because


def credentials_of(component: Component) -> str:
    """What to call them."""
    return f"credentials of {component.type.replace('_', ' ')} {component.name!r}"


def _secrets(workspace: Workspace, specs: Mapping[str, StepSpec]) -> dict[str, str]:
    wanted = {pair for spec in specs.values() for pair in references(dict(spec.options.environment))}
    return {f"{name}.{key}": workspace.opener(f"{{{{{name}.{key}}}}}", "the steps") for name, key in sorted(wanted)}


def _results(workspace: Workspace, plan: Plan) -> Iterator[tuple[str, Event]]:
    for decision in plan.decisions.values():
        cached = decision.cached
        if cached is not None:
            for event in workspace.tracking.events(cached.run, cached.step):
                if event.attempt == cached.attempt and event.kind in _OF_RESULT:
                    yield cached.origin, event


def _kept(workspace: Workspace, call: _Call) -> Iterator[tuple[str, Event]]:
    """What this home itself recorded of a run that goes on: the driver may load the pickles that it names."""
    for step in call.done:
        for event in workspace.tracking.events(call.run, step):
            digests = [ref["digest"] for ref in event.data.get("outputs", {}).values()]
            if event.kind in _OF_RESULT and all("" in workspace.tracking.origins(digest) for digest in digests):
                yield "", event


_OF_RESULT = frozenset({EventKind.ATTEMPT_STARTED, EventKind.ATTEMPT_COMPLETED})


class Beginning:
    """The driver's job, from its launch until it has recorded that the run began."""

    def __init__(self, workspace: Workspace, orchestrator: Orchestrator, errand: Errand, image: str | None) -> None:
        """`image` is the driver's; None: the orchestrator's own, or it needs none."""
        self._workspace, self._orchestrator, self._errand, self._image = workspace, orchestrator, errand, image
        self._handle: JobHandle | None = None
        self._begun = 0  # how often somebody had begun to drive the run before
        self._lines: list[str] = []

    def launch(self) -> None:
        """Start it."""
        errand, orchestrator = self._errand, self._orchestrator
        orchestrator.prepare(errand.run)
        self._begun = self._beginnings()
        self._handle = orchestrator.launch(
            Job(
                id=f"{errand.run}/driver{f'-{os.urandom(4).hex()}' if self._begun else ''}",
                command=(*orchestrator.python, "-m", "core.driver"),
                image=self._image,
                deadline=errand.until + MARGIN,
                labels={"driver": errand.run, "pipeline": errand.pipeline},
                bundle=pack(errand),
                folders=tuple(errand.store["folders"]),
                driver=True,
            )
        )
        failpoint("driver.launched")
        Thread(target=self._listen, name="core-driver-output", daemon=True).start()

    def _listen(self) -> None:
        try:
            for line in self._orchestrator.logs(self._handle, follow=True) if self._handle else ():
                self._lines.append(line)
        except Exception:  # noqa: BLE001 - border of a plugin: its end is told anyway
            return

    def wait(self, say: Callable[[str], None]) -> None:
        """Until it has begun the run; what it said is told when it could not. Raises `InfrastructureError`."""
        try:
            self._wait()
        except KeyboardInterrupt:
            run, again = self._errand.run, self._errand.again is not None
            once = f", once `core runs show {run}` tells that it is running" if again else ""
            say(f"the driver of run {run} was launched and goes on without you: `core runs cancel {run}` ends it{once}")
            raise

    def _wait(self) -> None:
        until, asked = time.monotonic() + START, 0.0
        while time.monotonic() < until:
            ended = self._ended()
            if ended or time.monotonic() - asked >= ASK:
                self._workspace.sync(self._errand.run)
                asked = time.monotonic()
                if self._beginnings() > self._begun:
                    return
            if ended:
                time.sleep(LOOK)  # for its last words
                said = "\n".join(f"  {line}" for line in self._lines[-TAIL:]) or "  it said nothing"
                raise InfrastructureError(f"the driver of run {short(self._errand.run)} could not begin:\n{said}")
            time.sleep(LOOK)
        raise InfrastructureError(
            f"the driver of run {self._errand.run} has not begun within {START:.0f} s; it may do so later",
            f"`core runs show {short(self._errand.run)}` tells",
        )

    def _beginnings(self) -> int:
        """How often that is recorded."""
        events = self._workspace.tracking.events(self._errand.run, "")
        return sum(event.kind in {EventKind.RUN_STARTED, EventKind.RUN_RESUMED} for event in events)

    def _ended(self) -> bool:
        if self._handle is None:
            return True
        try:
            state = self._orchestrator.state([self._handle])[self._handle.job]
        except CoreError:
            return False  # away: what it records tells
        return state.phase in ENDED_JOB or state.phase is JobPhase.UNKNOWN
