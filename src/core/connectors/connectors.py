"""The service connectors of a project: kept in the catalog, their secrets encrypted; built and asked when needed."""

from __future__ import annotations

import threading

from core.connectors.asking import asked
from core.connectors.checked import checked, method_of, resource_type_of
from core.connectors.recipe import Recipe, connector_class
from core.connectors.renewing import Renewing
from core.errors import ConflictError, CoreError, NotAllowedError, UsageError
from core.model.value import Value
from core.ports.catalog import Entry, check_entry_name
from core.secrets.reference import refers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from core.plugins.registry import Registry
    from core.ports.catalog import Catalog
    from core.ports.service_connector import ConnectorType, ServiceConnector
    from core.secrets import Secrets

KIND = "service_connector"
_COMPONENTS = ("orchestrator", "artifact_store", "container_registry", "image_builder")


class Draft(Value):
    """A connector as it is, or is to be, registered; `settings` hold secrets in the clear."""

    name: str
    kind: ConnectorType
    method: str
    settings: Mapping[str, str]
    resource_type: str = ""
    """The only type that it gives credentials for; empty: every one of its type's."""
    resource_id: str = ""
    """The only resource that it gives credentials for; empty: all in reach."""
    revision: int = 0
    """Of the entry that was read; 0 for a new one."""

    def __repr__(self) -> str:
        """Without settings."""
        return f"Draft({self.name!r}, {self.kind.name!r}, {self.method!r})"


class Found(Value):
    """What one connector reaches of one resource type."""

    connector: str
    type: str
    """Connector type."""
    resource_type: str
    ids: tuple[str, ...] = ()
    error: CoreError | None = None
    """Why nothing is known."""


class Connectors:
    """The connectors of one project. Credentials that were handed out are shared by all who ask for the same."""

    def __init__(
        self, catalog: Catalog, secrets: Secrets, registry: Registry, project: str = "default", actor: str = ""
    ) -> None:
        self._catalog = catalog
        self._secrets = secrets
        self._registry = registry
        self._project = project
        self._actor = actor
        self._lock = threading.Lock()
        self._built: dict[tuple[str, int], ServiceConnector] = {}
        self._given: dict[tuple[str, int, str, str], Renewing] = {}

    def entries(self) -> list[Entry]:
        """Every connector by name, its secrets encrypted."""
        return self._catalog.list(KIND, self._project)

    def entry(self, name: str) -> Entry:
        """One connector, its secrets encrypted; raises `NotFoundError`."""
        return self._catalog.get(KIND, name, self._project)

    def draft(
        self,
        name: str,
        type: str,  # noqa: A002 - the word for it everywhere
        method: str = "",
        given: Mapping[str, str] | None = None,
        resource_type: str = "",
        resource_id: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Draft:
        """A connector from what a person typed, checked; with `environment` it configures itself first.

        Raises `UsageError` and `NotFoundError` that name what is wrong, `ConflictError` for a name that is taken.
        """
        check_entry_name(name, "service connector")
        kind = self._registry.connector_type(type)
        if any(entry.name == name for entry in self.entries()):
            raise ConflictError(
                f"there is a service connector {name!r} already", "`core service-connector update` changes it"
            )
        settings = {key.replace("-", "_"): value for key, value in (given or {}).items()}
        if environment is not None:
            method, found = _configured(kind, environment, method)
            settings = {**found, **settings}
        chosen = method_of(kind, method)
        self._check_resource(kind, resource_type, resource_id)
        return Draft(name, kind, chosen.name, checked(kind, chosen, settings), resource_type, resource_id)

    def register(self, draft: Draft) -> Entry:
        """Keep a new connector."""
        return self._catalog.put(Entry(KIND, draft.name, 0, self._data(draft), self._project, self._actor))

    def opened(self, name: str) -> dict[str, str]:
        """Settings of a connector, its secrets in the clear and masked from now on; its type need not be installed."""
        data = self.entry(name).data
        sealed = data["secrets"].items()
        return {**data["settings"]} | {
            key: self._secrets.vault.decrypt(token, self._place(name, key)) for key, token in sealed
        }

    def read(self, name: str) -> Draft:
        """The connector as it is registered, its secrets in the clear and masked from now on."""
        entry = self.entry(name)
        kind = self._registry.connector_type(entry.data["type"])
        limits = entry.data.get("resource_type", ""), entry.data.get("resource_id", "")
        return Draft(name, kind, entry.data["method"], self.opened(name), *limits, entry.revision)

    def changed(
        self,
        name: str,
        method: str = "",
        given: Mapping[str, str] | None = None,
        remove: Iterable[str] = (),
        resource_type: str | None = None,
        resource_id: str | None = None,
    ) -> Draft:
        """The connector with changes, checked; with another method nothing of the old settings stays."""
        old = self.read(name)
        chosen = method_of(old.kind, method or old.method)
        settings = dict(old.settings) if chosen.name == old.method else {}
        for key in remove:
            if settings.pop(key.replace("-", "_"), None) is None:
                raise UsageError(f"service connector {name!r} has no setting {key!r}", f"it has {', '.join(settings)}")
        settings |= {key.replace("-", "_"): value for key, value in (given or {}).items()}
        limits = (
            old.resource_type if resource_type is None else resource_type,
            old.resource_id if resource_id is None else resource_id,
        )
        self._check_resource(old.kind, *limits)
        return Draft(name, old.kind, chosen.name, checked(old.kind, chosen, settings), *limits, old.revision)

    def update(self, draft: Draft) -> Entry:
        """Keep a connector that was changed; raises `ConflictError` when someone else was faster."""
        entry = self.entry(draft.name)
        data = {**entry.data, **self._data(draft)}
        return self._catalog.put(entry._replace(data=data, revision=draft.revision, actor=self._actor))

    def delete(self, name: str, *, force: bool = False, others: Sequence[str] = ()) -> None:
        """Remove it; raises `ConflictError` that names the components that use it, unless `force`.

        `others` are users that stand elsewhere than in the catalog.
        """
        entry = self.entry(name)
        users = [] if force else [*self.users(name), *others]
        if users:
            raise ConflictError(
                f"service connector {name!r} is used by {', '.join(users)}",
                "disconnect them first (`core artifact-store disconnect NAME`), or give --force",
            )
        self._catalog.delete(KIND, name, entry.revision, self._project)

    def users(self, name: str) -> Iterator[str]:
        """Components that are connected to it, such as `artifact store 'cloud'`."""
        for kind in _COMPONENTS:
            for entry in self._catalog.list(kind, self._project):
                if entry.data.get("connector") == name:
                    yield f"{kind.replace('_', ' ')} {entry.name!r}"

    def build(self, name: str) -> ServiceConnector:
        """The connector, ready to be asked; the same object until it is changed."""
        return self._shared(self._recipe(self.read(name)), self.entry(name).revision)

    def credentials(self, name: str, resource_type: str = "", resource_id: str = "") -> Renewing:
        """Gives credentials that are valid whenever it is called; the same object for the same resource.

        Nobody is asked before the first call. Raises `NotAllowedError` for what the connector is not meant for.
        """
        entry = self.entry(name)
        kind = self._registry.connector_type(entry.data["type"])
        limits = entry.data.get("resource_type", ""), entry.data.get("resource_id", "")
        wanted = resource_type_of(kind, resource_type or limits[0]).name
        resource = resource_id or limits[1]
        if limits[0] not in {"", wanted} or (limits[1] and not _same(limits[1], resource)):
            raise NotAllowedError(
                f"service connector {name!r} is for {limits[1] or limits[0]!r} only, not for {resource or wanted!r}",
                "register another one, or `core service-connector update` it",
            )
        key = (name, entry.revision, wanted, resource)
        if key not in self._given:
            recipe = self._recipe(self.read(name))
            self._given[key] = Renewing(recipe, wanted, resource, lambda: self._shared(recipe, entry.revision))
        return self._given[key]

    def try_out(self, draft: Draft) -> str:
        """Ask the cloud who a connector is, and for credentials of the one resource that it is for, if it is.

        Gives the identity. Raises what `ServiceConnector` raises.
        """
        recipe = self._recipe(draft)
        connector = recipe.build()
        with asked(draft.name, draft.kind.name):
            identity = connector.identity()
        if draft.resource_id:
            Renewing(
                recipe, resource_type_of(draft.kind, draft.resource_type).name, draft.resource_id, lambda: connector
            )()
        return identity

    def verify(self, name: str, resource_type: str = "", resource_id: str = "") -> str:
        """Who the connector is, as the cloud says; tries credentials for a resource if one is named."""
        draft = self.read(name)
        if resource_id or resource_type:
            self.credentials(name, resource_type, resource_id)  # refuses what it is not meant for
            wanted = resource_type or draft.resource_type
            draft = draft._replace(resource_type=wanted, resource_id=resource_id or draft.resource_id)
        return self.try_out(draft)

    def resources(self, name: str, resource_type: str = "") -> Iterator[Found]:
        """What a connector reaches of a resource type, or of each that it gives; what fails is in `error`."""
        data = self.entry(name).data
        wanted = resource_type or data.get("resource_type", "")
        try:
            kind = self._registry.connector_type(data["type"])
        except CoreError as error:  # its plugin was uninstalled
            yield Found(name, data["type"], wanted, error=error)
            return
        types = [resource_type_of(kind, wanted)] if wanted else kind.resource_types
        for each in types:
            try:
                connector = self.build(name)
                with asked(name, kind.name):
                    ids = sorted(connector.resources(each.name))
            except CoreError as error:
                yield Found(name, kind.name, each.name, error=error)
                continue
            only = data.get("resource_id", "")
            yield Found(name, kind.name, each.name, tuple(i for i in ids if not only or _same(only, i)))

    def offering(self, resource_type: str) -> list[Entry]:
        """Connectors whose type has the resource type (all without one), and that are not meant for another.

        Those whose type is not installed any more are among them: nobody knows what they reach.
        """
        types = {kind.name: {each.name for each in kind.resource_types} for kind in self._registry.connector_types()}

        def offers(entry: Entry) -> bool:
            only = entry.data.get("resource_type", "")
            return resource_type in types.get(entry.data["type"], {resource_type}) and only in {"", resource_type}

        return [entry for entry in self.entries() if not resource_type or offers(entry)]

    def _shared(self, recipe: Recipe, revision: int) -> ServiceConnector:
        """One object for all who use a connector: it may keep sessions."""
        with self._lock:
            if (recipe.name, revision) not in self._built:
                self._built[recipe.name, revision] = recipe.build()
            return self._built[recipe.name, revision]

    def _recipe(self, draft: Draft) -> Recipe:
        where = f"service connector {draft.name!r}"
        settings = self._secrets.resolve(dict(draft.settings), where)
        return Recipe(draft.name, draft.kind, draft.method, settings, self._secrets.vault)

    def _data(self, draft: Draft) -> dict[str, object]:
        """The entry's data: secrets encrypted; a reference to a secret is none itself."""
        hidden = {field.name for field in method_of(draft.kind, draft.method).fields if field.secret}
        secret = {key: value for key, value in draft.settings.items() if key in hidden and not refers(value)}
        sealed = {
            key: self._secrets.vault.encrypt(value, self._place(draft.name, key)) for key, value in secret.items()
        }
        plain = {key: value for key, value in draft.settings.items() if key not in secret}
        limits = {"resource_type": draft.resource_type, "resource_id": draft.resource_id}
        return {"type": draft.kind.name, "method": draft.method, "settings": plain, "secrets": sealed, **limits}

    def _place(self, name: str, key: str) -> tuple[str, ...]:
        return self._project, KIND, name, key

    def _check_resource(self, kind: ConnectorType, resource_type: str, resource_id: str) -> None:
        if resource_type or resource_id:
            resource_type_of(kind, resource_type)


def _configured(kind: ConnectorType, environment: Mapping[str, str], method: str) -> tuple[str, dict[str, str]]:
    """Method and settings that a type finds on this machine."""
    if not kind.auto:
        raise UsageError(
            f"connector type {kind.name!r} cannot configure itself",
            f"leave --auto-configure out; `core service-connector describe-type {kind.name}` lists its settings",
        )
    if method:
        method_of(kind, method)
    made = connector_class(kind)
    with asked("", kind.name):
        return made.configured(environment, method)


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")
