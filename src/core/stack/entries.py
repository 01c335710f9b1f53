"""What is known of components and stacks, as values: from the catalog, and the default ones that need none."""

from __future__ import annotations

from core.errors import ConflictError, CorruptDataError, NotFoundError
from core.model.nothing import NOTHING
from core.model.value import Value
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any, Protocol, TypeVar

    from core.ports.catalog import Catalog, Entry

    class Named(Protocol):
        """What has a name and comes from somewhere."""

        @property
        def name(self) -> str:
            """Its name."""

        @property
        def origin(self) -> str:
            """Where it comes from."""

    E = TypeVar("E", bound=Named)

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

    def same(self, other: StackEntry) -> bool:
        """Whether both say the same, wherever they stand."""
        return self[:2] == other[:2]


def said(kind: str) -> str:
    """A component type in words."""
    return kind.replace("_", " ")


def command(kind: str) -> str:
    """Its noun on the command line."""
    return "core " + kind.replace("_", "-")


def shown(data: Any, name: str = "") -> Any:
    """Settings as they may be shown: what looks like a secret, and is no reference to one, as `***`."""
    if isinstance(data, str):
        from core.mask import MASK, names_secret, url_password  # start-up time: an entry without settings needs none
        from core.secrets.reference import refers  # start-up time: the same

        if not data or refers(data):
            return data
        password = url_password(data)
        return MASK if names_secret(name, data) else data.replace(f":{password}@", f":{MASK}@") if password else data
    if isinstance(data, list):
        return [shown(item, name) for item in data]
    if not hasattr(data, "items"):
        return data
    return {key: shown(value, str(key)) for key, value in data.items()}


class Shelf:
    """Every component and stack in reach: of the catalog, of the repository, and the default ones."""

    def __init__(
        self,
        catalog: Catalog,
        project: str,
        components: Sequence[ComponentEntry] = (),
        stacks: Sequence[StackEntry] = (),
    ) -> None:
        """`components` and `stacks` are those that the repository declares."""
        self.catalog = catalog
        self.project = project
        self._components = components
        self._stacks = stacks

    def component(self, kind: str, name: str) -> ComponentEntry:
        """The component; raises `NotFoundError` with the closest names, `ConflictError` for one that is two."""
        return self._only(self.components(kind), name, said(kind), f"{command(kind)}")

    def components(self, kind: str) -> list[ComponentEntry]:
        """Every component of the type: the default one, the catalog's, what the repository declares otherwise."""
        kept = [component_of(entry) for entry in self.catalog.list(kind, self.project)]
        declared = [entry for entry in self._components if entry.kind == kind]
        return [*_default(kind), *kept, *(entry for entry in declared if not any(map(entry.same, kept)))]

    def stack(self, name: str) -> StackEntry:
        """The stack; raises `NotFoundError` with the closest names, `ConflictError` for one that is two."""
        return self._only(self.stacks(), name, "stack", "core stack")

    def stacks(self) -> list[StackEntry]:
        """Every stack: the default one, the catalog's, what the repository declares otherwise."""
        default = StackEntry(DEFAULT, dict.fromkeys(NEEDED, DEFAULT), BUILT_IN)
        kept = [stack_of(entry) for entry in self.catalog.list("stack", self.project)]
        return [default, *kept, *(entry for entry in self._stacks if not any(map(entry.same, kept)))]

    def users(self, kind: str, name: str) -> list[str]:
        """Names of the stacks that have the component."""
        return list(dict.fromkeys(entry.name for entry in self.stacks() if entry.components.get(kind) == name))

    def declares(self, kind: str, name: str) -> bool:
        """Whether the repository has a component of that name."""
        return any((entry.kind, entry.name) == (kind, name) for entry in self._components)

    def clashes(self) -> Iterator[str]:
        """What the catalog and the repository call by one name and mean differently."""
        every: list[tuple[str, str, Sequence[Named]]] = [("stack", "core stack", self.stacks())]
        every += [(said(kind), command(kind), self.components(kind)) for kind in TYPES]
        for what, noun, entries in every:
            names = [entry.name for entry in entries]
            for name in dict.fromkeys(name for name in names if names.count(name) > 1):
                yield _clash([entry for entry in entries if entry.name == name], what, noun).message

    def _only(self, entries: list[E], name: str, what: str, noun: str) -> E:
        found = [entry for entry in entries if entry.name == name]
        if not found:
            raise missing(what, name, (entry.name for entry in entries), f"`{noun} list` lists them")
        if len(found) > 1:
            raise _clash(found, what, noun)
        return found[0]


def _clash(found: Sequence[Named], what: str, noun: str) -> ConflictError:
    name = found[0].name
    return ConflictError(
        f"{what} {name!r} is one thing in the {found[0].origin} and another in {found[1].origin}",
        f"give one of them another name, or `{noun} delete {name}`",
    )


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
