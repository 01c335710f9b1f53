"""Conformance suite of the catalog port.

A plugin's test module needs no more than a subclass whose name starts with `Test`:
`class TestMine(CatalogSuite)` with a method `make_catalog(self, folder)` that returns a new, empty catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.errors import ConflictError, NotFoundError
from core.ports.catalog import Entry
from core.testing.suites.sample import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.ports.catalog import Catalog


class CatalogSuite:
    """Subclass it as `Test...` and say how to make your catalog."""

    def make_catalog(self, folder: Path) -> Catalog:
        """A new, empty catalog that may keep its data in `folder`."""
        raise NotImplementedError

    @pytest.fixture
    def catalog(self, tmp_path: Path) -> Iterator[Catalog]:
        """An empty catalog."""
        catalog = self.make_catalog(tmp_path)
        yield catalog
        catalog.close()

    def test_what_is_put_comes_back(self, catalog: Catalog) -> None:
        data = {"flavor": "local", "of_the_future": {"deep": [1, None, "ü"]}}
        written = catalog.put(Entry("stack", "mine", 0, data, actor="me@here", version=3))
        assert written.revision == 1
        assert written.changed_at > 0
        assert catalog.get("stack", "mine") == written
        assert (written.data, written.project, written.actor, written.version) == (data, "default", "me@here", 3)

    def test_a_change_needs_the_revision_that_is_there(self, catalog: Catalog) -> None:
        first = catalog.put(Entry("stack", "mine", 0, {"a": 1}))
        second = catalog.put(first._replace(data={"a": 2}))
        assert second.revision == 2
        for stale in (0, 1, 3):
            with pytest.raises(ConflictError, match="mine"):
                catalog.put(second._replace(revision=stale, data={"a": 3}))
        assert catalog.get("stack", "mine").data == {"a": 2}

    def test_what_does_not_exist_cannot_be_changed(self, catalog: Catalog) -> None:
        with pytest.raises(ConflictError):
            catalog.put(Entry("stack", "mine", 1, {}))
        assert catalog.list("stack") == []

    def test_an_unknown_name_gets_the_closest(self, catalog: Catalog) -> None:
        catalog.put(Entry("stack", "production", 0, {}))
        with pytest.raises(NotFoundError) as caught:
            catalog.get("stack", "prodution")
        assert "production" in caught.value.hint
        assert "prodution" in caught.value.message

    def test_entries_are_listed_by_name(self, catalog: Catalog) -> None:
        for name in ("b", "c", "a"):
            catalog.put(Entry("stack", name, 0, {}))
        catalog.put(Entry("secret", "d", 0, {}))
        catalog.put(Entry("stack", "e", 0, {}, project="p"))
        assert [entry.name for entry in catalog.list("stack")] == ["a", "b", "c"]
        assert [entry.name for entry in catalog.list("stack", "p")] == ["e"]
        assert catalog.list("connector") == []

    def test_delete(self, catalog: Catalog) -> None:
        entry = catalog.put(Entry("stack", "mine", 0, {}))
        with pytest.raises(ConflictError):
            catalog.delete("stack", "mine", 2)
        catalog.delete("stack", "mine", entry.revision)
        for call in (lambda: catalog.get("stack", "mine"), lambda: catalog.delete("stack", "mine", 1)):
            with pytest.raises(NotFoundError):
                call()
        assert catalog.put(entry._replace(revision=0)).revision == 1

    def test_project_kind_and_name_tell_entries_apart(self, catalog: Catalog) -> None:
        keys = [("a", "b", "p"), ("b", "a", "p"), ("a", "a", "p"), ("a", "b", "q")]
        for number, (kind, name, project) in enumerate(keys):
            catalog.put(Entry(kind, name, 0, {"number": number}, project))
        assert [catalog.get(*key).data["number"] for key in keys] == [0, 1, 2, 3]

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_names(self, catalog: Catalog, name: str) -> None:
        written = catalog.put(Entry(name, name, 0, {name: name}, project=name, actor=name))
        assert catalog.get(name, name, name) == written
        assert catalog.list(name, name) == [written]
        catalog.delete(name, name, 1, name)
        assert catalog.list(name, name) == []
