"""What a process has open while it reads or writes runs: settings, tracking store, stack, plugins."""

from __future__ import annotations

import os
import sys
import time
from functools import cached_property

from core.artifacts import load
from core.builtin.sqlite.active import active_stack
from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.caller import actor, client_data, recorded_options
from core.context import Importing, compiling
from core.errors import ConfigurationError, NotFoundError, StoreError
from core.logs import read
from core.model.graph import Graph, parse
from core.model.nothing import NOTHING
from core.model.plan import Action
from core.plugins.registry import Registry
from core.settings import Settings, resolve
from core.source import own_folder
from core.stack import DEFAULT, Stack, open_stack
from core.view import RunView, Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Self

    from core.builtin.journal.sync import Synced
    from core.connectors import Connectors
    from core.model.artifact import ArtifactRef
    from core.model.event import Event
    from core.model.plan import Plan
    from core.model.spec import RunOptions, StepSpec
    from core.plan import Planner
    from core.ports.catalog import Catalog
    from core.ports.container_registry import RegistryLogin
    from core.ports.orchestrator import Orchestrator
    from core.ports.tracking_store import TrackingStore
    from core.run import Pipeline
    from core.schedule import Conditions
    from core.secrets import Secrets
    from core.sharing import Sharing
    from core.stack.reach import Reach


class Opener:
    """Puts secrets of a home where `{{name.key}}` stands. Plain, so that it travels; opens the home where it is."""

    def __init__(self, home: str, project: str) -> None:
        self.home = home
        self.project = project

    def __call__(self, data: Any, where: str) -> Any:
        """`data` with secrets, masked from now on; raises `NotFoundError` that begins with `where`."""
        with Workspace(Settings(home=self.home, project=self.project)) as workspace:
            return workspace.secrets.resolve(data, where)


class Workspace:
    """Opens things when they are asked for, and closes them when the outermost `with` ends; may be entered again."""

    lasting = True
    """Whether the home outlives this process."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or resolve()
        self._database: Database | None = None
        self._tracking: TrackingStore | None = None
        self._catalog: Catalog | None = None
        self._secrets: Secrets | None = None
        self._connectors: Connectors | None = None
        self._depth = 0
        self.resume: Callable[[str], RunView] | None = None
        """Goes on with a run; handed in from above."""

    def __enter__(self) -> Self:
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        if self._tracking is not None:
            self._tracking.close()
        if self._database is not None:
            self._database.close()
        self._database = self._tracking = self._catalog = None
        self._secrets = self._connectors = None

    @property
    def home(self) -> str:
        """Folder of all state."""
        return self.settings.home

    @property
    def spill(self) -> str:
        """Folder of events that could not be recorded yet."""
        return os.path.join(self.home, "pending")

    @property
    def logs(self) -> str:
        """Folder of the logs of all runs."""
        return os.path.join(self.home, "logs")

    def log_folder(self, run: str) -> str:
        """Folder of the logs of `run`."""
        return os.path.join(self.logs, run)

    @property
    def actor(self) -> str:
        """Who acts in this process."""
        return actor()

    @property
    def database(self) -> Database:
        """The SQLite file of this home; only inside `with`, which closes it."""
        if self._database is None:
            try:
                os.makedirs(self.home, exist_ok=True)
            except OSError as error:
                hint = "set CORE_HOME to a folder that you may write to"
                why = "a file has this name" if os.path.isfile(self.home) else error.strerror
                raise StoreError(f"the state folder {self.home!r} cannot be made: {why}", hint) from error
            path = os.path.join(self.home, "core.db")
            self._database = Database(path, power=self.settings.durability == "power")
        return self._database

    @property
    def tracking(self) -> TrackingStore:
        """The tracking store; only inside `with`, which closes it."""
        if self._tracking is None:
            self._tracking = SqliteTrackingStore(self.database)
        return self._tracking

    @property
    def owned(self) -> TrackingStore:
        """Where the owner of a run records it: the tracking store, and with a shared store its journal, too."""
        store = self.stack.artifact_store
        if not store.shared:
            return self._vouching
        from core.builtin.journal.mirror import Mirrored  # start-up time: only for a store that others share

        return Mirrored(self._vouching, store, self.journals, lasting=self.lasting)

    @property
    def _vouching(self) -> TrackingStore:
        """The tracking store, told whether pickles are loaded that others recorded in the stack's store."""
        store = self.stack.artifact_store
        self.tracking.trusted = {"", store.uri} if store.trusted else {""}
        return self.tracking

    @property
    def journals(self) -> str:
        """Folder of notes about runs that are not whole in their journal."""
        return os.path.join(self.home, "journals")

    def sync(self, run: str | None = None) -> Synced | None:
        """Bring runs of others who share the stack's store into this home, or one of them; None where nobody does.

        What this home's own runs could not bring there goes now. Raises `StoreError` when the store is away.
        """
        with self:
            sharing = self.sharing
            return None if sharing is None else sharing.sync(run)

    @property
    def sharing(self) -> Sharing | None:
        """What this home has to do with others who share the stack's store; None where nobody does."""
        store = self.stack.artifact_store
        if not store.shared:
            return None
        from core.sharing import Sharing  # start-up time: only for a store that others share

        return Sharing(self.tracking, store, self.logs, self.journals)

    @property
    def catalog(self) -> Catalog:
        """Where components, stacks, connectors and secrets are kept; only inside `with`, which closes it."""
        if self._catalog is None:
            from core.builtin.sqlite.catalog import SqliteCatalog  # start-up time: the default stack needs none

            self._catalog = SqliteCatalog(self.database)
        return self._catalog

    @property
    def secrets(self) -> Secrets:
        """Encrypted values by name; only inside `with`."""
        if self._secrets is None:
            from core.secrets import Secrets, Vault  # start-up time: few runs have secrets

            vault = Vault(self.home, self._encrypted)
            self._secrets = Secrets(self.catalog, vault, self.settings.project, self.actor)
        return self._secrets

    def refer(self, data: Any, where: str) -> None:
        """Refuse references to secrets that are not there; `where` begins the message."""
        with self:
            self.secrets.check(data, where)

    @property
    def opener(self) -> Opener:
        """Puts secrets in the place of references, in any process."""
        return Opener(self.home, self.settings.project)

    @property
    def connectors(self) -> Connectors:
        """What gives short-lived credentials; only inside `with`."""
        if self._connectors is None:
            from core.connectors import Connectors  # start-up time: few stacks have connectors

            project = self.settings.project
            self._connectors = Connectors(self.catalog, self.secrets, self.registry, project, self.actor)
        return self._connectors

    def _encrypted(self) -> bool:
        """Whether this home holds anything that was encrypted: its key must not be made anew then."""
        from core.builtin.sqlite.catalog import SqliteCatalog  # start-up time: the default stack needs none

        return SqliteCatalog(self.database).sealed()

    @property
    def active(self) -> str:
        """Name of the active stack: as the settings say, else as `core stack set` did, else `default`."""
        if self.settings.stack:
            return self.settings.stack
        with self:
            return active_stack(self.database, self.settings.project) or DEFAULT

    @cached_property
    def registry(self) -> Registry:
        """Plugins and built-ins."""
        return Registry(home=self.home, one_file=self.settings.plugins)

    @cached_property
    def stack(self) -> Stack:
        """The active stack."""
        with self:
            return open_stack(self)

    def planner(self, graph: Graph, specs: Mapping[str, StepSpec], no_cache: bool | frozenset[str]) -> Planner:  # noqa: FBT001
        """Decides what each node does now."""
        from core.plan import Planner  # start-up time: who only reads runs plans none

        settings = self.settings
        no_cache = no_cache if settings.cache else True
        return Planner(graph, specs, self.tracking, project=settings.project, no_cache=no_cache, now=time.time())

    def orchestrators(self, specs: Mapping[str, StepSpec]) -> dict[str, Orchestrator]:
        """The stack's orchestrator, then those that steps name with `runs_on`, by name.

        Raises `ConfigurationError` for one that does not exist, naming the step.
        """
        stack = self.stack.orchestrator
        found: dict[str, Orchestrator] = {stack.name: stack}
        stack.login = self._image_login
        for node, spec in specs.items():
            name = spec.options.runs_on
            if name is not None and name not in found:
                found[name] = self.orchestrator(name, node)
        return found

    def orchestrator(self, name: str, step: str = "") -> Orchestrator:
        """One that is no part of the stack, and that `step` names; raises as `orchestrators` does."""
        from core.stack.build import build, shelf_of  # start-up time: few steps name an orchestrator
        from core.stack.check import check_opened  # start-up time: the same

        try:
            with self:
                built: Any = build(self, shelf_of(self).component("orchestrator", name))
                check_opened(self.stack, built)
                built.login = self._image_login
                return built  # type: ignore[no-any-return]
        except NotFoundError as error:
            said = f"step {step!r} runs on orchestrator {name!r}, which does not exist: {error.message}"
            raise ConfigurationError(said, "remove runs_on=, or register it: `core orchestrator register`") from error

    def _image_login(self, image: str) -> RegistryLogin | None:
        """The login with which an engine pulls `image`."""
        from core.image.base import login_for  # start-up time: only images are pulled

        with self:
            return login_for(image, self.stack.container_registry)

    def conditions(
        self,
        options: RunOptions,
        orchestrators: Mapping[str, Orchestrator] = NOTHING,
    ) -> Conditions:
        """What a run on this workspace works with; first records what earlier runs had to keep in files."""
        from core.record import replay  # start-up time: who only reads runs records none
        from core.schedule import Conditions  # start-up time: the same

        replay(self.spill, self.tracking)
        conditions = Conditions(
            tracking=self.owned,
            store=self.stack.artifact_store,
            materializers=self.registry.materializers(),
            observers=lambda run: self.registry.observers(run, self.settings.display),
            log_folder=self.log_folder,
            spill=self.spill,
            record={"client": client_data(), "tags": list(options.tags), **recorded_options(options)},
            project=self.settings.project,
            actor=self.actor,
            inline_limit=self.settings.inline_limit,
            fail_fast=options.fail_fast,
            workers=workers_of(self.settings.workers if options.workers is None else options.workers),
            heartbeat=self.settings.heartbeat,
            grace=self.settings.grace,
            log_limit=self.settings.log_limit,
            resolve=self.opener,
            fetch=self.fetch,
            courier=None if (sharing := self.sharing) is None else sharing.courier,
        )
        if all("inline" in one.capabilities for one in orchestrators.values()):
            return conditions
        from core.ship import equipped  # start-up time: a local run launches no jobs

        return equipped(conditions, self.settings, orchestrators, options.workers)

    def provided(
        self,
        conditions: Conditions,
        pipeline: Pipeline[Any, Any],
        specs: Mapping[str, StepSpec],
        plan: Plan,
        orchestrators: Mapping[str, Orchestrator],
        past: RunView | None = None,
    ) -> Conditions:
        """`conditions` with images for the steps that may run, of a new run or of `past`, which goes on."""
        if not any(one.needs_image for one in orchestrators.values()):
            return conditions
        from core.provide import Order, provide  # start-up time: a local run needs no images

        reused = [node for node, decision in plan.decisions.items() if decision.action is Action.REUSE]
        order = Order(pipeline.name, pipeline.options.image, specs, orchestrators, frozenset(reused))
        if past is not None:
            order = order._replace(run=past.id, past=past.images)
        return provide(self, order, conditions)

    def view(self, run: str) -> RunView:
        """The run as its events tell it; nothing is read before it is looked at."""
        source = Source(lambda ref: self.load(ref, view.roots), self.log, self.graph, _picture, self.resume)
        view = RunView(run, lambda: self._events(run), source)
        return view

    def readable(self, outputs: Mapping[str, ArtifactRef]) -> bool:
        """Whether this stack's store has all of `outputs`, some of it copied from where it lies.

        Raises `ConfigurationError` for what lies in a store that this home can't reach, and `UntrustedPickleError` for
        pickles of others.
        """
        from core.carry import missing  # start-up time: only a resumed run asks

        if missing(outputs, self.stack.artifact_store) and not self.reach.readable(outputs):
            return False
        table = self.registry.materializers()
        for ref in outputs.values():
            if table.named(ref.materializer).pickles:
                self._trusted(ref.digest)  # refused now, and not in the middle of the run
        return True

    def fetch(self, outputs: Mapping[str, ArtifactRef]) -> str:
        """Copy what this stack's store lacks of `outputs` from where it lies; empty, or why it can't be had."""
        return self.reach.fetch(outputs)

    @cached_property
    def reach(self) -> Reach:
        """The stores that artifacts may lie in."""
        from core.stack.reach import Reach  # start-up time: most artifacts lie in the stack's own store

        return Reach(self, self.stack.artifact_store)

    def _events(self, run: str) -> tuple[Sequence[Event], bool]:
        with self:
            lease = self.tracking.lease(run)
            return self.tracking.events(run), lease is None or lease.expires_at < self.tracking.now()

    def load(self, ref: ArtifactRef, roots: Sequence[str] = ()) -> Any:
        """The value of an artifact; its classes are looked for in the source folders `roots` first.

        A file that runs a pipeline when it is imported is refused, as `core run` does.
        """
        materializers = self.registry.materializers()
        added = [root for root in roots if root not in sys.path and own_folder(root)]
        sys.path[:0] = added
        token = compiling.set(Importing("the file of its class"))
        try:
            store = self.stack.artifact_store
            if ref.store not in {"", store.uri}:
                store = self.reach.holding(ref)
            return load(ref, store=store, materializers=materializers, trusted=self._trusted)
        finally:
            compiling.reset(token)
            for root in added:
                if root in sys.path:
                    sys.path.remove(root)

    def _trusted(self, digest: str) -> bool:
        from core.record import vouched  # start-up time: only pickles are asked for

        with self:
            store = self.stack.artifact_store
            return vouched(self._vouching, digest, {store.uri: store.name})

    def log(self, run: str, step: str, attempt: int) -> str:
        """What an attempt printed, with a line where much is left out; empty when it printed nothing."""
        text = read(self.log_folder(run), step, attempt)
        with self:
            if text or (sharing := self.sharing) is None or not sharing.elsewhere(run):
                return text
            sharing.fetch_logs(run, [(step, attempt)])
        return read(self.log_folder(run), step, attempt)

    def graph(self, digest: str) -> Graph:
        """The graph that was recorded under `digest`."""
        with self:
            return parse(self.tracking.document(digest))


def _picture(graph: Graph, states: Mapping[str, str]) -> str:
    from core.draw import draw  # start-up time: only a notebook shows pictures

    return draw(graph, "svg", states)


def workers_of(wanted: int) -> int:
    """How many processes run steps: 0 means as many as this process may use cores."""
    if wanted:
        return wanted
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
