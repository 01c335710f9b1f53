"""Secrets in the catalog: named sets of keys and values, the values encrypted; and what refers to them."""

from __future__ import annotations

import re

from core.errors import ConflictError, NotFoundError, UsageError
from core.ports.catalog import Entry
from core.secrets.reference import MARK, references, replaced
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import TypeVar

    from core.ports.catalog import Catalog
    from core.secrets.vault import Vault

    T = TypeVar("T")

KIND = "secret"
LONGEST = 100
"""Characters of a name or a key."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_REFERRING = ("orchestrator", "artifact_store", "container_registry", "image_builder", "service_connector")
"""Kinds of entries whose settings may refer to secrets."""


class Secrets:
    """The secrets of one project."""

    def __init__(self, catalog: Catalog, vault: Vault, project: str = "default", actor: str = "") -> None:
        self._catalog = catalog
        self.vault = vault
        self.project = project
        self._actor = actor

    def create(self, name: str, values: Mapping[str, str]) -> Entry:
        """Keep `values` under a new name; raises `ConflictError` when it is taken."""
        check_name(name)
        if not values:
            raise UsageError(f"secret {name!r} has no key", "give at least one: --password=@FILE")
        for other in self._catalog.list(KIND, self.project):
            if other.name == name:
                raise ConflictError(f"there is a secret {name!r} already", "`core secret update` changes it")
        return self._catalog.put(Entry(KIND, name, 0, self._sealed(name, values), self.project, self._actor))

    def get(self, name: str) -> dict[str, str]:
        """Keys and values in the clear, masked from now on; raises `NotFoundError`."""
        sealed = self._catalog.get(KIND, name, self.project).data["values"]
        return {key: self.vault.decrypt(token, self._place(name, key)) for key, token in sealed.items()}

    def update(self, name: str, values: Mapping[str, str], remove: Iterable[str] = ()) -> Entry:
        """Set `values`, take the keys in `remove` away; the others stay.

        Raises `NotFoundError` for a name or a key that is not there, `ConflictError` when someone else was faster.
        """
        entry = self._catalog.get(KIND, name, self.project)
        there = dict(entry.data["values"])
        for key in remove:
            if key not in there:
                raise _no_key(name, key, there)
            del there[key]
        there |= self._sealed(name, values)["values"]
        if not there:
            raise UsageError(f"secret {name!r} would have no key left", "`core secret delete` removes it")
        return self._catalog.put(entry._replace(data={**entry.data, "values": there}, actor=self._actor))

    def delete(self, name: str, *, force: bool = False, others: Sequence[str] = ()) -> None:
        """Remove it; raises `ConflictError` that names what refers to it, unless `force`.

        `others` are users that stand elsewhere than in the catalog.
        """
        entry = self._catalog.get(KIND, name, self.project)
        users = [] if force else [*self.users(name), *others]
        if users:
            raise ConflictError(
                f"secret {name!r} is used by {', '.join(users)}", "change their settings first, or give --force"
            )
        self._catalog.delete(KIND, name, entry.revision, self.project)

    def users(self, name: str) -> Iterator[str]:
        """Components and connectors whose settings refer to it, such as `artifact store 'cloud'`."""
        for kind in _REFERRING:
            for entry in self._catalog.list(kind, self.project):
                if any(used == name for used, _ in references(entry.data.get("settings"))):
                    yield f"{kind.replace('_', ' ')} {entry.name!r}"

    def entries(self) -> list[Entry]:
        """Every secret by name, its values encrypted."""
        return self._catalog.list(KIND, self.project)

    def keys(self, name: str) -> list[str]:
        """Keys of a secret; raises `NotFoundError`."""
        return list(self._catalog.get(KIND, name, self.project).data["values"])

    def names(self) -> list[str]:
        """Names of all secrets."""
        return [entry.name for entry in self.entries()]

    def resolve(self, data: T, where: str = "") -> T:
        """`data` with values in the place of references, in nested mappings and lists, masked from now on.

        Raises `NotFoundError`, which begins with `where`, for a secret or a key that is not there.
        """
        opened: dict[str, dict[str, str]] = {}

        def value(name: str, key: str) -> str:
            if name not in opened:
                self._present(name, key, where)
                opened[name] = self.get(name)
            return opened[name][key]

        return replaced(data, value)  # type: ignore[no-any-return]

    def check(self, data: object, where: str = "") -> None:
        """Refuse references to what is not there, as `resolve` does, without opening anything."""
        for name, key in references(data):
            self._present(name, key, where)

    def _present(self, name: str, key: str, where: str) -> None:
        lead = f"{where}: {MARK}{name}.{key}}}}}" if where else f"{MARK}{name}.{key}}}}}"
        try:
            there = self._catalog.get(KIND, name, self.project).data["values"]
        except NotFoundError as error:
            hint = error.hint if "mean" in error.hint else f"`core secret create {name} --{key}=@FILE` makes it"
            raise NotFoundError(f"{lead} refers to secret {name!r}, which does not exist", hint) from error
        if key not in there:
            missing = _no_key(name, key, there)
            raise NotFoundError(f"{lead} refers to what is not there: {missing.message}", missing.hint)

    def _sealed(self, name: str, values: Mapping[str, str]) -> dict[str, dict[str, str]]:
        for key in values:
            if not (_KEY.fullmatch(key) and len(key) <= LONGEST):
                raise UsageError(
                    f"secret {name!r}: {key!a} is no name of a key", _form("letters, digits, '_', '-', '.'")
                )
        return {"values": {key: self.vault.encrypt(text, self._place(name, key)) for key, text in values.items()}}

    def _place(self, name: str, key: str) -> tuple[str, ...]:
        return self.project, KIND, name, key


def check_name(name: str) -> None:
    """Refuse a name that a reference can't hold."""
    if not (_NAME.fullmatch(name) and len(name) <= LONGEST):
        raise UsageError(f"{name[:40]!a} is no name of a secret", _form("letters, digits, '_', '-'"))


def _form(letters: str) -> str:
    return f"use {letters}, at most {LONGEST} of them, and begin with a letter, a digit or '_'"


def _no_key(name: str, key: str, there: Iterable[str]) -> NotFoundError:
    return NotFoundError(f"secret {name!r} has no key {key!r}{closest(key, there)}", f"its keys: {', '.join(there)}")
