"""Changes of the catalog: components and stacks are registered, updated, renamed, copied, deleted and connected.

Every change is one compare-and-swap on the revision that was read: of two writers the second gets `ConflictError`.
"""

from __future__ import annotations

from core.errors import ConfigurationError, ConflictError, UsageError
from core.model.nothing import NOTHING
from core.ports.catalog import Entry, check_entry_name
from core.secrets.reference import references
from core.stack.build import build, checked, flavor_of, shelf_of
from core.stack.check import findings, refuse, try_out
from core.stack.entries import (
    BUILT_IN,
    CATALOG,
    DEFAULT,
    NEEDED,
    TYPES,
    ComponentEntry,
    StackEntry,
    command,
    component_of,
    said,
    shown,
    stack_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from core.stack.build import Means


RENAMED = "renamed_from"
"""Key of an entry that `rename` has not finished with: the name before."""


class Changes:
    """Changes components and stacks of one workspace. `tell` gets what a person should know besides."""

    def __init__(self, means: Means, tell: Callable[[str], None], actor: str = "") -> None:
        self.means = means
        self.tell = tell
        self.actor = actor
        self.shelf = shelf_of(means)

    # Components ------------------------------------------------------------------------------------------------------

    def register(self, entry: ComponentEntry, *, verify: bool = True) -> None:
        """Check `entry`, try it, and keep it; raises `ConflictError` when the name is taken."""
        check_entry_name(entry.name, said(entry.kind))
        self._refuse_default(entry.kind, entry.name)
        entry = self.checked(entry)
        if verify:
            self.try_out(entry)
        self.keep(entry)

    def keep(self, entry: ComponentEntry) -> None:
        """Keep a new component that was looked at already."""
        try:
            self._put(Entry(entry.kind, entry.name, 0, component_data(entry)))
        except ConflictError:
            hint = f"`{command(entry.kind)} update {entry.name}` changes it; or choose another name"
            raise ConflictError(f"there is {_article(said(entry.kind))} {entry.name!r} already", hint) from None

    def update(
        self,
        kind: str,
        name: str,
        settings: Mapping[str, Any] = NOTHING,
        *,
        drop: tuple[str, ...] = (),
        verify: bool = True,
    ) -> None:
        """Set some settings of a component, and let those in `drop` go back to their default."""
        kept, entry = self._read(kind, name)
        for key in drop:
            if key not in entry.settings:
                given = ", ".join(entry.settings) or "none"
                raise UsageError(f"{entry.noun} has no value of its own for {key!r}", f"it has: {given}")
        merged = {key: value for key, value in {**entry.settings, **settings}.items() if key not in drop}
        entry = self.checked(entry._replace(settings=merged))
        if verify:
            self.try_out(entry)
        self._put(kept._replace(data={**kept.data, **component_data(entry)}))

    def connect(self, kind: str, name: str, connector: str, resource_id: str = "", *, verify: bool = True) -> None:
        """Link a service connector, and try whether it opens what the component needs."""
        kept, entry = self._read(kind, name)
        cls = self.means.registry.flavor(kind, entry.flavor)
        if not cls.resource_type:
            raise ConfigurationError(
                f"{entry.noun}: flavor {entry.flavor!r} takes no credentials, so it can't be connected",
                "nothing is to be done: it works without",
            )
        self.means.catalog.get("service_connector", connector, self.shelf.project)
        entry = entry._replace(connector=connector, resource_id=resource_id)
        if verify:
            self.try_out(entry)
        self._put(kept._replace(data={**kept.data, **component_data(entry)}))

    def disconnect(self, kind: str, name: str) -> str:
        """Take the link away; gives the name of the connector that it led to."""
        kept, entry = self._read(kind, name)
        if not entry.connector:
            raise UsageError(f"{entry.noun} is linked to no service connector", "there is nothing to disconnect")
        self._put(kept._replace(data={**kept.data, "connector": "", "resource_id": ""}))
        return entry.connector

    def copy(self, kind: str, name: str, to: str) -> None:
        """Register the same component under another name."""
        entry = self.shelf.component(kind, name)
        if entry.origin == BUILT_IN and kind == "artifact_store":
            hint = f"`{command(kind)} register {to} --flavor local --path=FOLDER` makes one of your own"
            raise ConflictError(f"{entry.noun} is the home's own folder, so there can't be a second one", hint)
        self.register(entry._replace(name=to, origin=CATALOG), verify=False)

    def rename(self, kind: str, name: str, to: str) -> list[str]:
        """Give a component another name, and carry the stacks along that have it; gives their names.

        Killed half-way it has done no harm, and the same call ends it.
        """
        kept = self._raw(kind, name)
        check_entry_name(to, said(kind))
        self._refuse_default(kind, to)
        begun = self._kept(kind, to)
        if (begun is None or begun.data.get(RENAMED) != name) and any(
            other.name == to for other in self.shelf.components(kind)
        ):
            raise ConflictError(f"there is {_article(said(kind))} {to!r} already", "choose another name")
        users = self.shelf.users(kind, name)
        for stack in self.shelf.stacks():
            if stack.name in users and stack.origin not in {CATALOG, BUILT_IN}:
                raise _declared(f"{said(kind)} {name!r} is part of stack {stack.name!r}, which", stack.origin)
        made = begun or self._put(Entry(kind, to, 0, {**kept.data, RENAMED: name}))
        for user in users:
            self._change_stack(user, {kind: to})
        self.means.catalog.delete(kind, name, kept.revision, self.shelf.project)
        self._put(made._replace(data=kept.data))
        return users

    def delete(self, kind: str, name: str) -> None:
        """Forget a component; raises `ConflictError` naming the stacks that have it."""
        kept = self._raw(kind, name)
        users = self.shelf.users(kind, name)
        if users and not self.shelf.declares(kind, name):  # else the repository's own one stays
            raise ConflictError(
                f"{said(kind)} {name!r} is part of {_listed('stack', users)}",
                f"`core stack update {users[0]} -{kind[0]} OTHER` gives it another; or delete it first",
            )
        self.means.catalog.delete(kind, name, kept.revision, self.shelf.project)

    # Stacks ----------------------------------------------------------------------------------------------------------

    def register_stack(self, name: str, components: Mapping[str, str], *, verify: bool = True) -> None:
        """Keep a new stack of `components`; what every stack has and is not named is the default one."""
        check_entry_name(name, "stack")
        if name == DEFAULT:
            raise ConflictError(f"stack {DEFAULT!r} is built in and stays as it is", "choose another name")
        parts = ordered({**dict.fromkeys(NEEDED, DEFAULT), **components})
        self._look_at(StackEntry(name, parts), verify=verify)
        self.keep_stack(name, parts)

    def keep_stack(self, name: str, parts: Mapping[str, str]) -> None:
        """Keep a new stack that was looked at already."""
        try:
            self._put(Entry("stack", name, 0, {"components": ordered(parts)}))
        except ConflictError:
            hint = f"`core stack update {name}` changes it; or choose another name"
            raise ConflictError(f"there is a stack {name!r} already", hint) from None

    def update_stack(
        self, name: str, components: Mapping[str, str], drop: Sequence[str] = (), *, verify: bool = True
    ) -> None:
        """Give a stack other components; those of the types in `drop` go, to the default one where it needs one."""
        kept, entry = self._read_stack(name)
        parts = {kind: part for kind, part in {**entry.components, **components}.items() if kind not in drop}
        parts = ordered({**dict.fromkeys(NEEDED, DEFAULT), **parts})
        self._look_at(StackEntry(name, parts), verify=verify)
        self._put(kept._replace(data={**kept.data, "components": parts}))

    def copy_stack(self, name: str, to: str) -> None:
        """Register the same stack under another name."""
        self.register_stack(to, self.shelf.stack(name).components, verify=False)

    def delete_stack(self, name: str) -> None:
        """Forget a stack; raises `ConflictError` for the active one."""
        kept = self._raw_stack(name)
        if name == self.means.active:
            raise ConflictError(f"stack {name!r} is the active one", "`core stack set default` first")
        self.means.catalog.delete("stack", name, kept.revision, self.shelf.project)

    def _read_stack(self, name: str) -> tuple[Entry, StackEntry]:
        """The catalog's entry of a stack, raw and read."""
        kept = self._raw_stack(name)
        return kept, stack_of(kept)

    def _raw_stack(self, name: str) -> Entry:
        """The same, not read: it may be damaged."""
        if name == DEFAULT:
            raise ConflictError(f"stack {DEFAULT!r} is built in and stays as it is", "register one of your own")
        kept = self._kept("stack", name)
        if kept is None:
            raise _declared(f"stack {name!r}", self.shelf.stack(name).origin)
        return kept

    def _look_at(self, stack: StackEntry, *, verify: bool) -> None:
        found = findings(
            self.means, self.shelf, stack, lambda option, _: f"then add `{option}` to this command", verify=verify
        )
        refuse(stack.name, [each.error for each in found if each.error is not None], "the catalog stays as it was")

    def set_active(self, name: str) -> None:
        """Make `name` the active stack."""
        self.shelf.stack(name)
        kept = next(iter(self.means.catalog.list("active", self.shelf.project)), None)
        entry = kept or Entry("active", "stack", 0, {})
        self._put(entry._replace(data={**entry.data, "name": name}))

    # What they share -------------------------------------------------------------------------------------------------

    def _read(self, kind: str, name: str) -> tuple[Entry, ComponentEntry]:
        """The catalog's entry of a component, raw and read."""
        kept = self._raw(kind, name)
        return kept, component_of(kept)

    def _raw(self, kind: str, name: str) -> Entry:
        """The same, not read: it may be damaged."""
        self._refuse_default(kind, name)
        kept = self._kept(kind, name)
        if kept is None:
            entry = self.shelf.component(kind, name)
            raise _declared(entry.noun, entry.origin)
        return kept

    def _kept(self, kind: str, name: str) -> Entry | None:
        return next((e for e in self.means.catalog.list(kind, self.shelf.project) if e.name == name), None)

    def _refuse_default(self, kind: str, name: str) -> None:
        if name == DEFAULT and kind in NEEDED:
            raise ConflictError(
                f"{said(kind)} {DEFAULT!r} is built in and stays as it is",
                f"`{command(kind)} register NAME --flavor local` makes one of your own",
            )

    def checked(self, entry: ComponentEntry) -> ComponentEntry:
        """`entry` with its settings as the flavor reads them; raises `ConfigurationError` for what is wrong."""
        cls = flavor_of(self.means, entry)
        if cls.Settings is None and not entry.settings:
            return entry
        from core.stack.fields import kept  # start-up time: it brings pydantic

        settings = kept(entry, checked(self.means, entry, cls))
        open_to_all = [name for name, value in settings.items() if shown(value, name) != value]
        if open_to_all:
            self.tell(
                f"warning: setting {open_to_all[0]!r} of {entry.noun} looks like a secret and is kept in the clear"
                "\n  hint: `core secret create NAME --KEY=@FILE`, and give '{{NAME.KEY}}' in its place"
            )
        return entry._replace(settings=settings)

    def try_out(self, entry: ComponentEntry) -> None:
        """Build the component and let it try whether it can be used."""
        cls = flavor_of(self.means, entry)
        component = build(self.means, entry)
        if cls.resource_type and not entry.connector and not references(entry.settings):
            self.tell(
                f"{entry.noun} was not tried: link a service connector "
                f"(`{command(entry.kind)} connect {entry.name} --connector CONNECTOR`), "
                "or it uses the credentials that its machine has"
            )
            return
        try_out(entry, component)

    def _change_stack(self, name: str, components: Mapping[str, str]) -> None:
        kept = self.means.catalog.get("stack", name, self.shelf.project)
        parts = {**kept.data.get("components", {}), **components}
        self._put(kept._replace(data={**kept.data, "components": ordered(parts)}))

    def _put(self, entry: Entry) -> Entry:
        return self.means.catalog.put(entry._replace(project=self.shelf.project, actor=self.actor))


def component_data(entry: ComponentEntry) -> dict[str, Any]:
    """What the catalog keeps of a component."""
    return {
        "flavor": entry.flavor,
        "settings": dict(entry.settings),
        "connector": entry.connector,
        "resource_id": entry.resource_id,
    }


def ordered(parts: Mapping[str, str]) -> dict[str, str]:
    """`parts` in the order in which they are shown."""
    return {kind: parts[kind] for kind in TYPES if parts.get(kind)}


def _declared(what: str, origin: str) -> ConflictError:
    return ConflictError(f"{what} is declared in {origin}", "change it there")


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _listed(noun: str, names: list[str]) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}"
