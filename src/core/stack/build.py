"""Builds components from their entries: flavor's class, checked settings, credentials of the linked connector."""

from __future__ import annotations

from functools import partial

from core.errors import CoreError, NotFoundError, PluginError
from core.stack.entries import BUILT_IN, CATALOG, TYPES, Shelf, command
from core.stack.opened import Stack, default_store
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from core.connectors import Connectors
    from core.plugins.registry import Registry
    from core.ports.catalog import Catalog
    from core.ports.component import Component
    from core.secrets import Secrets
    from core.settings import Settings
    from core.stack.entries import ComponentEntry, StackEntry

    class Means(Protocol):
        """What stacks are opened with; a `Workspace` is one."""

        settings: Settings

        def __enter__(self) -> Any: ...
        def __exit__(self, *error: object) -> None: ...
        @property
        def active(self) -> str:
            """Name of the active stack."""

        @property
        def catalog(self) -> Catalog:
            """Where components and stacks are kept."""

        @property
        def registry(self) -> Registry:
            """Flavors."""

        @property
        def secrets(self) -> Secrets:
            """Fills references to secrets in."""

        @property
        def connectors(self) -> Connectors:
            """Gives credentials."""


def assemble(means: Means, name: str) -> Stack:
    """The active stack, called `name`; raises `NotFoundError` when it, or a component of it, does not exist."""
    shelf = shelf_of(means)
    entry = active_entry(means, shelf, name)
    parts = entry.components
    built = {kind: partial(_built, means, shelf.component(kind, parts[kind])) for kind in TYPES if kind in parts}
    return Stack(name, **built, origin=entry.origin)


def active_entry(means: Means, shelf: Shelf, name: str) -> StackEntry:
    """The entry of the active stack, called `name`; raises `NotFoundError` that tells who made it active."""
    try:
        return shelf.stack(name)
    except NotFoundError as error:
        if means.settings.stack:
            raise
        hint = "`core stack set` made it active, perhaps in another folder; `core stack set default` goes back"
        raise NotFoundError(error.message, hint) from None


def _built(means: Means, entry: ComponentEntry) -> Component:
    with means:  # it may be wanted long after the stack was opened
        return build(means, entry)


def shelf_of(means: Means) -> Shelf:
    """Every component and stack that `means` can reach."""
    from core.stack.repository import declared  # start-up time: help needs no files

    found = declared()
    return Shelf(means.catalog, means.settings.project, found.components, found.stacks)


def build(means: Means, entry: ComponentEntry) -> Component:
    """The component that `entry` describes, ready for use.

    Raises `ConfigurationError` for wrong settings, `NotFoundError` for a flavor that is not installed, `PluginError`
    for one that fails.
    """
    if entry.origin == BUILT_IN and entry.kind == "artifact_store":
        return default_store(means.settings)
    cls = flavor_of(means, entry)
    settings = checked(means, entry, cls)
    try:
        component: Component = cls(settings) if settings is not None else cls()
    except CoreError as error:
        raise about(entry, error) from error
    except Exception as error:  # border of a plugin
        what = f"{entry.noun} (flavor {entry.flavor!r}) could not be built: {type(error).__name__}: {error}"
        raise PluginError(what, f"see `{command(entry.kind)} describe {entry.name}`") from error
    component.name = entry.name
    if entry.connector:
        resource_id = entry.resource_id or component.resource_id()
        _refuse_unknown(means, entry)
        component.credentials = means.connectors.credentials(entry.connector, cls.resource_type, resource_id)
    return component


def flavor_of(means: Means, entry: ComponentEntry) -> Any:
    """The class of its flavor; what is wrong with it is told with the line where the entry is declared."""
    try:
        return means.registry.flavor(entry.kind, entry.flavor)
    except CoreError as error:
        if entry.origin in {CATALOG, BUILT_IN}:
            raise
        raise type(error)(f"{entry.origin}: {error.message}", error.hint) from error


def _refuse_unknown(means: Means, entry: ComponentEntry) -> None:
    """Raise `NotFoundError` when the connector of `entry` is not registered here, with the command that does it."""
    names = [each.name for each in means.catalog.list("service_connector", means.settings.project)]
    if entry.connector in names:
        return
    from core.stack.repository import declared  # start-up time: only trouble reads the files once more

    found = next((each for each in declared().connectors if each.name == entry.connector), None)
    disconnect = f"`{command(entry.kind)} disconnect {entry.name}`"
    raise NotFoundError(
        f"{entry.noun} is linked to service connector {entry.connector!r}, which is not registered here"
        + closest(entry.connector, names),
        f"`{found.command()}`"
        if found
        else f"`core service-connector register {entry.connector} ...`, or {disconnect}",
    )


def checked(means: Means, entry: ComponentEntry, cls: Any) -> Any:
    """The settings model of `entry`, secrets filled in; None where the flavor `cls` has nothing to set."""
    if cls.Settings is None and not entry.settings:
        return None
    from core.stack.fields import validate  # start-up time: it brings pydantic

    return validate(entry, cls, resolved(means, entry))


def resolved(means: Means, entry: ComponentEntry) -> dict[str, Any]:
    """The settings of `entry` with secrets in the place of `{{secret.key}}`."""
    return means.secrets.resolve(dict(entry.settings), entry.noun)


def about(entry: ComponentEntry, error: CoreError) -> CoreError:
    """`error` with the component that it is about."""
    said = error.message if entry.noun in error.message else f"{entry.noun} (flavor {entry.flavor!r}): {error.message}"
    return type(error)(said, error.hint)
