"""Catalog: named entries (stacks, components, connectors, secrets, schedules) with compare-and-swap."""

from __future__ import annotations

from abc import ABC, abstractmethod

from core.errors import UsageError
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


LONGEST = 100
"""Characters of a name."""


class Entry(Value):
    """One named thing."""

    kind: str
    """Such as `stack` or `artifact_store`."""
    name: str
    revision: int
    """1 when created, one more with every change."""
    data: Mapping[str, Any]
    """Plain data; fields of later versions are kept."""
    project: str = "default"
    actor: str = ""
    """Who changed it last."""
    changed_at: float = 0.0
    """Seconds since 1970 by the catalog's clock."""
    version: int = 1
    """Version of the schema of `data`."""


class Catalog(ABC):
    """Keeps entries by project, kind and name."""

    @abstractmethod
    def get(self, kind: str, name: str, project: str = "default") -> Entry:
        """The entry; raises `NotFoundError`, its hint naming the closest names."""

    @abstractmethod
    def list(self, kind: str, project: str = "default") -> list[Entry]:
        """Every entry of `kind`, by name."""

    @abstractmethod
    def put(self, entry: Entry) -> Entry:
        """Write `entry` and return it with its new revision.

        `entry.revision` is what the caller read, 0 for "must not exist"; else there raises `ConflictError`.
        """

    @abstractmethod
    def delete(self, kind: str, name: str, revision: int, project: str = "default") -> None:
        """Remove the entry at `revision`; raises `NotFoundError` or `ConflictError`."""

    def close(self) -> None:
        """Free what the catalog holds."""


def check_entry_name(name: str, what: str) -> None:
    """Refuse a name for a new entry that people can't type, or mistake for another; raises `UsageError`.

    It stands in commands, in references, and in the names of files and profiles; a letter of another alphabet looks
    like one of these. Catalogs themselves take any name.
    """
    plain = name.isascii() and all(letter.isalnum() or letter in "_-." for letter in name)
    if not plain or not 0 < len(name) <= LONGEST or name[0] in "-.":
        raise UsageError(
            f"{name[:40]!a} can't be the name of {'an' if what[0] in 'aeiou' else 'a'} {what}",
            f"use letters from a to z, digits, '_', '-', '.', at most {LONGEST} of them, "
            "and begin with a letter, a digit or '_'",
        )
