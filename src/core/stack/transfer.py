"""A stack as a file for another machine, without secrets; and such a file read back into the catalog."""

from __future__ import annotations

from core.connectors.checked import checked, method_of
from core.errors import ConfigurationError, ConflictError, CoreError, NotFoundError
from core.mask import url_password
from core.stack.check import findings, refuse
from core.stack.declared import VERSION, Declared, read_file
from core.stack.entries import BUILT_IN, CATALOG, Shelf, shown
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.catalog import Entry
    from core.stack.change import Changes
    from core.stack.declared import ConnectorEntry
    from core.stack.entries import ComponentEntry, StackEntry

GIVE = "***"
"""What stands in the place of a value that was left out because it looks like a secret."""

PERSONAL = {"trusted"}
"""Settings that everybody decides on for themselves: they are not handed on."""


def export(shelf: Shelf, name: str) -> dict[str, Any]:
    """The stack `name`, its components and the connectors that they are linked to, as plain data for a YAML file."""
    stack = shelf.stack(name)
    if stack.origin == BUILT_IN:
        raise ConflictError(f"stack {name!r} is built in: it is the same everywhere", "export one of your own")
    entries = [shelf.component(kind, part) for kind, part in stack.components.items()]
    components: dict[str, Any] = {}
    for entry in entries:
        if entry.origin != BUILT_IN:
            components.setdefault(entry.kind, {})[entry.name] = _component(entry)
    data = {"version": VERSION, "components": components, "stacks": {name: dict(stack.components)}}
    links = list(dict.fromkeys(entry.connector for entry in entries if entry.connector))
    connectors = {link: _connector(shelf.catalog.get("service_connector", link, shelf.project)) for link in links}
    return {**data, "service_connectors": connectors} if connectors else data


def _component(entry: ComponentEntry) -> dict[str, Any]:
    links = {"connector": entry.connector, "resource_id": entry.resource_id}
    return {
        "flavor": entry.flavor,
        "settings": {key: value for key, value in shown(entry.settings).items() if key not in PERSONAL},
        **{key: text for key, text in links.items() if text},
    }


def _connector(entry: Entry) -> dict[str, Any]:
    data = entry.data
    limits = {key: data.get(key, "") for key in ("resource_type", "resource_id")}
    return {
        "type": data["type"],
        "method": data["method"],
        "settings": dict(data.get("settings", {})),
        "secrets": sorted(data.get("secrets", {})),
        **{key: text for key, text in limits.items() if text},
    }


def read_in(changes: Changes, path: str, *, verify: bool = True) -> tuple[list[str], list[str]]:
    """Register what the file at `path` declares; gives what was registered, and commands that are still to be typed.

    Everything is looked at before anything is written: a name that means something else here is refused, and one that
    means the same is left as it is.
    """
    found = read_file(path)
    if found == Declared():
        raise ConfigurationError(f"{path!r} declares nothing", "`core stack export NAME` writes such a file")
    for each in found.connectors:
        _look_at_connector(changes, each)
    todo = _todo(changes, found)
    _look_for_parts(changes.shelf, found)
    ready = [changes.checked(_complete(entry)) for entry in found.components]
    ready = [entry for entry in ready if not _known(changes.shelf.components(entry.kind), entry)]
    stacks = [stack for stack in found.stacks if not _known(changes.shelf.stacks(), stack)]
    _look_at_stacks(changes, ready, stacks, {name for name, _ in todo})
    for entry in ready:
        if verify and not todo:
            changes.try_out(entry)
    for entry in ready:
        changes.keep(entry)
    for stack in stacks:
        changes.keep_stack(stack.name, stack.components)
    made = [entry.noun for entry in ready] + [f"stack {stack.name!r}" for stack in stacks]
    return made, [line for _, line in todo]


def _look_at_stacks(changes: Changes, ready: list[ComponentEntry], stacks: list[StackEntry], away: set[str]) -> None:
    """Refuse a stack whose parts can't be built or don't go together; connectors in `away` are registered later."""
    means = changes.means
    parts = [entry._replace(connector="") if entry.connector in away else entry for entry in ready]
    shelf = Shelf(means.catalog, means.settings.project, parts)
    for stack in stacks:
        found = findings(means, shelf, stack, verify=False)
        refuse(stack.name, [each.error for each in found if each.error is not None], "nothing was registered")


def _known(there: list[Any], entry: Any) -> bool:
    """Whether the catalog has the same; raises `ConflictError` when it has another thing of that name."""
    for other in there:
        if other.name == entry.name and other.origin == CATALOG:
            if other.same(entry):
                return True
            what = getattr(entry, "noun", f"stack {entry.name!r}")
            raise ConflictError(
                f"{entry.origin}: {what} is another one here",
                "give it another name in the file, or delete the one here",
            )
    return False


def _complete(entry: ComponentEntry) -> ComponentEntry:
    """`entry`, unless a value was left out of it when it was exported."""
    for key, value in entry.settings.items():
        if _left_out(value):
            raise ConfigurationError(
                f"{entry.places.get(key, entry.origin)}: a secret was left out of setting {key!r} of {entry.noun}",
                f"`core secret create NAME --{key}=@FILE`, and write '{{{{NAME.{key}}}}}' into the file",
            )
    return entry


def _left_out(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_left_out, value.values()))
    if isinstance(value, list):
        return any(map(_left_out, value))
    return isinstance(value, str) and (value == GIVE or url_password(value) == GIVE)


def _look_for_parts(shelf: Shelf, found: Declared) -> None:
    """Refuse a stack that names a component which is neither in the file nor here."""
    given = {(entry.kind, entry.name) for entry in found.components}
    for stack in found.stacks:
        for kind, name in stack.components.items():
            if (kind, name) not in given:
                try:
                    shelf.component(kind, name)
                except NotFoundError as error:
                    raise NotFoundError(f"{stack.origin}: stack {stack.name!r}: {error.message}", error.hint) from None


def _look_at_connector(changes: Changes, connector: ConnectorEntry) -> None:
    """Refuse a type, method or setting that is not known, with its line; secrets are given later."""
    try:
        kind = changes.means.registry.connector_type(connector.type)
        later = dict.fromkeys(connector.secrets, "{{to.be_given}}")
        checked(kind, method_of(kind, connector.method), {**connector.settings, **later})
    except CoreError as error:
        raise type(error)(f"{connector.origin}: {error.message}", error.hint) from error


def _todo(changes: Changes, found: Declared) -> list[tuple[str, str]]:
    """Names of the connectors of the file which are not here, and the commands that register them.

    Raises `ConflictError` where one is of another type here, `NotFoundError` for a link that leads nowhere.
    """
    there = {entry.name: entry for entry in changes.means.catalog.list("service_connector", changes.shelf.project)}
    for each in found.connectors:
        kind = there[each.name].data["type"] if each.name in there else each.type
        if kind != each.type:
            what = f"{each.origin}: service connector {each.name!r} is of type {kind!r} here, not {each.type!r}"
            raise ConflictError(what, "give it another name in the file, or delete the one here")
    given = {each.name for each in found.connectors}
    for entry in found.components:
        if entry.connector and entry.connector not in given | there.keys():
            what = f"{entry.origin}: {entry.noun} is linked to service connector {entry.connector!r}, which is not here"
            raise NotFoundError(what + closest(entry.connector, given | there.keys()), "register it first")
    return [(each.name, each.command()) for each in found.connectors if each.name not in there]
