"""What is known of components and stacks, as values: from the catalog, and the default ones that need none."""

from __future__ import annotations

from core.errors import CorruptDataError, NotFoundError
from core.model.nothing import NOTHING
from core.model.value import Value
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from core.ports.catalog import Catalog, Entry

DEFAULT = "default"
CATALOG = "catalog"
BUILT_IN = "built in"
TYPES = ("orchestrator", "artifact_store", "container_registry", "image_builder")
"""Component types, in the order in which they are shown."""
NEEDED = TYPES[:2]
"""Those that every stack has."""


class ComponentEntry(Value):
    """One component as it was registered or declared."""

    kind: str
    name: str
    flavor: str
    settings: Mapping[str, Any] = NOTHING
    """Plain data; may hold references to secrets, `{{secret.key}}`."""
    connector: str = ""
    """Name of the service connector that gives its credentials; empty for none."""
    resource_id: str = ""
    """Resource that the connector opens; empty where the settings tell it."""
    origin: str = CATALOG
    """`catalog`, `built in`, or the `file:line` where it is declared."""
    folder: str = ""
    """Folder against which relative paths in its settings are read; empty for the working one."""
    places: Mapping[str, str] = NOTHING
    """Setting to the `file:line` where it stands."""

    @property
    def noun(self) -> str:
        """How people call it: `artifact store 'bucket'`."""
        return f"{said(self.kind)} {self.name!r}"

    def same(self, other: ComponentEntry) -> bool:
        """Whether both say the same, wherever they stand."""
        return self[:6] == other[:6]


class StackEntry(Value):
    """One stack as it was registered or declared."""

    name: str
    components: Mapping[str, str]
    """Component type to the name of a component."""
    origin: str = CATALOG


def said(kind: str) -> str:
    """A component type in words."""
    return kind.replace("_", " ")


def command(kind: str) -> str:
    """Its noun on the command line."""
    return "core " + kind.replace("_", "-")


def shown(data: Any, name: str = "") -> Any:
    """Settings as they may be shown: what looks like a secret, and is no reference to one, as `***`."""
    if isinstance(data, str):
        from core.mask import MASK, names_secret  # start-up time: an entry without settings needs none
        from core.secrets.reference import refers  # start-up time: the same

        return MASK if data and not refers(data) and names_secret(name, data) else data
    if isinstance(data, list):
        return [shown(item, name) for item in data]
    if not hasattr(data, "items"):
        return data
    return {key: shown(value, str(key)) for key, value in data.items()}


class Shelf:
    """Every component and stack in reach."""

    def __init__(self, catalog: Catalog, project: str) -> None:
        self.catalog = catalog
        self.project = project

    def component(self, kind: str, name: str) -> ComponentEntry:
        """The component; raises `NotFoundError` with the closest names."""
        found = {entry.name: entry for entry in self.components(kind)}
        if name not in found:
            raise missing(said(kind), name, found, f"`{command(kind)} list` lists them")
        return found[name]

    def components(self, kind: str) -> list[ComponentEntry]:
        """Every component of the type, the default one first."""
        kept = [component_of(entry) for entry in self.catalog.list(kind, self.project)]
        return [*_default(kind), *kept]

    def stack(self, name: str) -> StackEntry:
        """The stack; raises `NotFoundError` with the closest names."""
        found = {entry.name: entry for entry in self.stacks()}
        if name not in found:
            raise missing("stack", name, found, "`core stack list` lists them")
        return found[name]

    def stacks(self) -> list[StackEntry]:
        """Every stack, the default one first."""
        default = StackEntry(DEFAULT, dict.fromkeys(NEEDED, DEFAULT), BUILT_IN)
        return [default, *(stack_of(entry) for entry in self.catalog.list("stack", self.project))]

    def users(self, kind: str, name: str) -> list[str]:
        """Names of the stacks that have the component; for type `service_connector`, the components linked to it."""
        if kind == "service_connector":
            every = (entry for cls in TYPES for entry in self.components(cls))
            return [entry.noun for entry in every if entry.connector == name]
        return [entry.name for entry in self.stacks() if entry.components.get(kind) == name]


def _default(kind: str) -> list[ComponentEntry]:
    return [ComponentEntry(kind, DEFAULT, "local", origin=BUILT_IN)] if kind in NEEDED else []


def missing(what: str, name: str, known: Iterable[str], hint: str) -> NotFoundError:
    """The error for a name that nobody has."""
    return NotFoundError(f"there is no {what} {name!r}{closest(name, known)}", hint)


def component_of(entry: Entry) -> ComponentEntry:
    """A component from the catalog; raises `CorruptDataError` for what core did not write."""
    data = entry.data
    texts = [data.get(key, "") for key in ("flavor", "connector", "resource_id")]
    settings = data.get("settings", {})
    if not texts[0] or not all(isinstance(text, str) for text in texts) or not isinstance(settings, dict):
        raise _damaged(entry)
    return ComponentEntry(entry.kind, entry.name, texts[0], settings, texts[1], texts[2])


def stack_of(entry: Entry) -> StackEntry:
    """A stack from the catalog; raises `CorruptDataError` for what core did not write."""
    components = entry.data.get("components")
    if not isinstance(components, dict) or not all(isinstance(name, str) for name in components.values()):
        raise _damaged(entry)
    return StackEntry(entry.name, {kind: components[kind] for kind in TYPES if components.get(kind)})


def _damaged(entry: Entry) -> CorruptDataError:
    noun = f"core {entry.kind.replace('_', '-')}"
    return CorruptDataError(
        f"the catalog's entry of {said(entry.kind)} {entry.name!r} is damaged", f"`{noun} delete {entry.name}`"
    )
