"""A stack as a file for another machine, without secrets; and such a file read back into the catalog."""

from __future__ import annotations

from core.errors import ConfigurationError, ConflictError, NotFoundError
from core.stack.declared import VERSION, read_file
from core.stack.entries import BUILT_IN, CATALOG, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.ports.catalog import Entry
    from core.stack.change import Changes
    from core.stack.declared import ConnectorEntry, Declared
    from core.stack.entries import ComponentEntry, Shelf

GIVE = "***"
"""What stands in the place of a value that was left out because it looks like a secret."""


def export(shelf: Shelf, name: str) -> dict[str, Any]:
    """The stack `name`, its components and the connectors that they are linked to, as plain data for a YAML file."""
    stack = shelf.stack(name)
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
        "settings": shown(entry.settings),
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
    todo = _todo(changes, found)
    _look_for_parts(changes.shelf, found)
    ready = [changes.checked(_complete(entry)) for entry in found.components]
    ready = [entry for entry in ready if not _known(changes.shelf.components(entry.kind), entry)]
    stacks = [stack for stack in found.stacks if not _known(changes.shelf.stacks(), stack)]
    for entry in ready:
        changes.register(entry, verify=verify and not todo)
    for stack in stacks:
        changes.keep_stack(stack.name, stack.components)
    return [entry.noun for entry in ready] + [f"stack {stack.name!r}" for stack in stacks], todo


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
    return any(map(_left_out, value)) if isinstance(value, list) else value == GIVE


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


def _todo(changes: Changes, found: Declared) -> list[str]:
    """The commands that register the connectors of the file which are not here."""
    there = {entry.name for entry in changes.means.catalog.list("service_connector", changes.shelf.project)}
    return [_register(each) for each in found.connectors if each.name not in there]


def _register(connector: ConnectorEntry) -> str:
    words = [f"core service-connector register {connector.name} --type {connector.type}"]
    words.append(f"--auth-method {connector.method}")
    words += [f"--{name}={value}" for name, value in connector.settings.items()]
    words += [f"--{name}=@FILE" for name in connector.secrets]
    limits = {"--resource-type": connector.resource_type, "--resource-id": connector.resource_id}
    return " ".join([*words, *(f"{name} {text}" for name, text in limits.items() if text)])
