"""The driver of a detached run: `python -m core.driver` compiles, plans and drives a run as a job, without its client.

It reads an errand (`core.detach`) as a step's job reads its bundle, keeps its state in a folder of its own that ends
with it, and records the run in the journal beside the artifacts: who shares the store sees it, and can end it there.
Exits with 0 when the run completed, 1 when it did not, 6 or 7 when it could not begin or be recorded, 75 when the
errand is not whole.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import redirect_stdout, suppress
from threading import Thread

from core.bundle import UNTOLD
from core.detach import MARGIN, credentials_of, unpack
from core.entrypoint import FAILED, TOLD, UNRECORDED, UNUSABLE, lend, open_component, read
from core.errors import (
    ConfigurationError,
    CoreError,
    InfrastructureError,
    NotFoundError,
    RunCancelled,
    RunFailed,
    explain,
    message_of,
)
from core.mask import add_secret
from core.model.event import Event, EventKind
from core.model.states import RunState
from core.prepare import prepare
from core.resume import compiled_again, options_of, resume
from core.schedule import drive
from core.secrets.reference import replaced
from core.settings import Settings
from core.source import imported
from core.stack import Stack
from core.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

    from core.detach import Errand
    from core.ports.component import Component
    from core.ports.orchestrator import Orchestrator
    from core.run import Pipeline
    from core.schedule import Conditions

LOOK, AGAIN = 1.0, 30.0
"""Seconds between two looks at the time, and between two tries to renew what was lent."""
FIRST = 10.0
"""Seconds that the first try may take, whatever ends meanwhile."""
LAST_WORDS = 2.0
"""Seconds for which a driver that could not begin stays, so that its client hears why."""


def main() -> NoReturn:
    """The life of the job."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TOLD))  # the first process of a container has no default
    try:
        errand = unpack(read())
    except CoreError as error:
        code = _told(error, UNTOLD)
    else:
        code = _begun(errand)
    os._exit(code)


def _begun(errand: Errand) -> int:
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with open(os.devnull, "w") as nothing, redirect_stdout(nothing):  # what steps print is in their logs
            return driven(errand)
    except CoreError as error:
        return _told(error, UNRECORDED)
    except KeyboardInterrupt:
        return TOLD


def _told(error: CoreError, away: int) -> int:
    """Say why it can't begin; the exit code, `away` where something was away."""
    sys.stderr.write(f"{explain(error)}\n")
    sys.stderr.flush()
    code = away if isinstance(error, InfrastructureError) else UNUSABLE
    if code != UNTOLD:  # else its client has gone
        time.sleep(LAST_WORDS)
    return code


def driven(errand: Errand) -> int:
    """Drive the run that the errand tells of; gives the exit code."""
    workspace = ErrandWorkspace(errand, tempfile.mkdtemp(prefix="core-driver-"))
    pipeline = _pipeline(errand)
    with workspace:
        for origin, event in errand.results:
            workspace.learn(origin, Event(*event))
    if errand.again is not None:
        return _resumed(errand, workspace, pipeline)
    options = options_of(errand.record.get("options", {}), errand.record["tags"])
    compiled = compiled_again(pipeline, errand.parameters, options)
    if compiled.graph.digest != errand.graph:
        hint = "see that the image holds the files of now: `core pipeline build` tells what it takes"
        raise ConfigurationError(f"pipeline {pipeline.name!r} is another one here than on the client", hint)
    with workspace:
        planner = workspace.planner(compiled.graph, compiled.specs, pipeline.no_cache(options))
        plan = planner.plan(errand.stack)
        where = workspace.orchestrators(compiled.specs)
        prepare(compiled.specs, where, workspace.registry.materializers())
        conditions = workspace.provided(workspace.conditions(options, where))
        workspace.watch()
        ending = drive(plan, planner, dict(compiled.specs), conditions)
    return 0 if ending.state is RunState.COMPLETED else FAILED


def _resumed(errand: Errand, workspace: ErrandWorkspace, pipeline: Pipeline[Any, Any]) -> int:
    """Go on with the run."""
    workspace.watch()
    try:
        resume(workspace, errand.run, pipeline, retry=errand.again or (), workers=errand.workers)
    except (RunFailed, RunCancelled):
        return FAILED
    return 0


def _pipeline(errand: Errand) -> Pipeline[Any, Any]:
    try:
        return imported(errand.pipeline, errand.roots)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        hint = "see which files the image holds: `.coreignore` may leave out its module"
        raise NotFoundError(f"pipeline {errand.pipeline!r} is not in this image: {error}", hint) from None


class ErrandSecrets:
    """Puts the secrets of an errand where `{{name.key}}` stands. Plain, so that it travels."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        for value in values.values():
            add_secret(value)

    def __call__(self, data: Any, _where: str) -> Any:
        """`data` with secrets, masked from now on."""
        for value in self.values.values():
            add_secret(value)
        return replaced(data, lambda name, key: self.values[f"{name}.{key}"])


class _Checked(Stack):
    """The client has looked at it; a registry that engines pull from need not be in reach of the driver."""

    def checked(self) -> Stack:
        """Itself."""
        return self


class ErrandWorkspace(Workspace):
    """A workspace whose stack and secrets are those of an errand."""

    lasting = False

    def __init__(self, errand: Errand, home: str) -> None:
        settings: dict[str, Any] = {**errand.settings, "plugins": tuple(errand.settings["plugins"])}
        super().__init__(Settings(**settings, home=home, display="none"))
        self._errand = errand
        self._opener = ErrandSecrets(dict(errand.secrets))
        self._built: dict[str, Any] = {}
        self._ends: dict[str, tuple[float, str]] = {}  # by component: until when it can be used, and why no longer
        self._lent: list[tuple[Any, Mapping[str, Any]]] = []  # whose credentials end, and what was told of each
        store = self._open("artifact_store", errand.store)
        kept = self._open("container_registry", errand.container_registry) if errand.container_registry else None
        orchestrators = [self.orchestrator(name) for name in errand.orchestrators]
        self.stack = _Checked(errand.stack, orchestrators[0], store, kept)

    def refer(self, data: Any, where: str) -> None:
        """Nothing: the client has looked whether the secrets are there."""

    def provided(self, conditions: Conditions, *_: object) -> Conditions:
        """`conditions` with the images that the client has made, and what is to be recorded of its call."""
        errand = self._errand
        record = {**conditions.record, **errand.record, "roots": list(errand.roots)}
        return conditions._replace(run=errand.run, record=record, images=errand.images)

    @property
    def actor(self) -> str:
        """Who wanted the run."""
        return self._errand.actor

    @property
    def opener(self) -> Any:
        """The errand's secrets."""
        return self._opener

    def orchestrator(self, name: str, step: str = "") -> Orchestrator:  # noqa: ARG002 - the client has looked for it
        """One of the errand's."""
        if name not in self._built:
            self._built[name] = self._open("orchestrator", self._errand.orchestrators[name])
            self._built[name].login = self._image_login
        return self._built[name]  # type: ignore[no-any-return]

    def _open(self, kind: str, entry: Mapping[str, Any]) -> Any:
        made = open_component(self.registry, kind, entry)
        made.name = entry["name"]
        lend(made, entry["credentials"])
        if entry["credentials"] is not None and entry["credentials"]["expires_at"] is not None:
            self._lent.append((made, entry))
        return made

    def learn(self, origin: str, event: Event) -> None:
        """An event of an earlier run: what it tells of may be reused."""
        if origin:
            self.tracking.fold(origin, (), [event], {})
        else:
            self.tracking.append([event])

    def watch(self) -> None:
        """Ask for the run's end when its time is over, and end this process where that does not help."""
        self._ends = {"": (self._errand.until, "it had all the time that a run may have")}
        for component, entry in self._lent:
            first = time.time() + FIRST
            self._ends[_noun(component)] = max(_end(entry), first), f"{credentials_of(component)} end"
            Thread(target=self._renew, args=(component, entry), name="core-identity", daemon=True).start()
        Thread(target=self._watch, name="core-deadline", daemon=True).start()

    def _watch(self) -> None:
        """The thread's life: clocks are set, machines sleep, and ends move."""
        while (left := min(self._ends.copy().values())[0] - time.time()) > 0:
            time.sleep(min(left, LOOK))
        wish = {"reason": f"its time is over: {min(self._ends.copy().values())[1]}"}
        with suppress(Exception), Workspace(self.settings) as beside:  # a store that is away keeps none alive
            writer, run = f"deadline-{os.urandom(8).hex()}", self._errand.run
            event = Event(run, "", 0, writer, 0, EventKind.CANCEL_REQUESTED, time.time(), 0, wish)
            beside.tracking.append([event._replace(project=self.settings.project, actor="core")])
        time.sleep(MARGIN)
        os._exit(TOLD)

    def _renew(self, component: Component, entry: Mapping[str, Any]) -> None:
        """A thread's life: let this machine renew what was lent, if it can; what may pass is tried again to the end."""
        name, lent = _noun(component), credentials_of(component)
        while True:
            try:
                from core.identity import adopt  # start-up time: few runs have credentials that end

                adopt(component, entry, self._errand.run, self.registry, self.settings.home)
            except Exception as error:  # noqa: BLE001 - border of a plugin: why the run ends is told
                why = f"{lent} end, and this machine can't renew them: {message_of(error)}"
                self._ends[name] = _end(entry), why
                if not isinstance(error, InfrastructureError):
                    return
                time.sleep(AGAIN)
            else:
                del self._ends[name]
                return


def _noun(component: Component) -> str:
    return f"{component.type} {component.name}"


def _end(entry: Mapping[str, Any]) -> float:
    """When what was lent to a component can be used no longer, but for recording that."""
    return float(entry["credentials"]["expires_at"]) - MARGIN


if __name__ == "__main__":
    main()
