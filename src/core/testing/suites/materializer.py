"""Conformance suite for materializers: values there and back, through a real store."""

from __future__ import annotations

import json
import operator
from typing import TYPE_CHECKING

import pytest

from core import artifacts
from core.builtin.materializers.table import MaterializerTable
from core.builtin.stores.local import LocalArtifactStore
from core.errors import CoreError, UntrustedPickleError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from core.model.artifact import ArtifactRef
    from core.ports.artifact_store import ArtifactStore
    from core.ports.materializer import Materializer, Materializers

PREVIEW = 4000
"""Bytes of JSON that a preview may take."""


class MaterializerSuite:
    """Subclass it as `Test...`, override the fixtures `materializer` and `values`; `same` where `==` will not do."""

    @pytest.fixture
    def materializer(self) -> Materializer:
        """The materializer under test."""
        raise NotImplementedError

    @pytest.fixture
    def values(self) -> list[Any]:
        """Values that it takes: empty, small, large, odd."""
        raise NotImplementedError

    def same(self, one: Any, other: Any) -> bool:
        """Whether a loaded value equals the saved one."""
        return bool(operator.eq(one, other))

    loaded_type: type | None = None
    """Class of what is loaded, where it differs from what was saved."""

    @pytest.fixture
    def table(self, materializer: Materializer) -> Materializers:
        """What chooses among materializers: the built-in ones and this one."""
        return MaterializerTable([materializer])

    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        """An empty store."""
        return LocalArtifactStore(str(tmp_path / "artifacts"))

    def save(self, value: Any, table: Materializers, store: ArtifactStore, limit: int = 0) -> ArtifactRef:
        """Save `value` with the materializer that the table chooses; nothing stays inline."""
        return artifacts.save(value, store=store, materializers=table, limit=limit)

    def test_is_chosen_for_its_values(
        self, materializer: Materializer, values: list[Any], table: Materializers
    ) -> None:
        """By its types, or by its name."""
        assert materializer.name
        for value in values:
            assert table.for_value(value).name == materializer.name
            assert table.for_value(value, materializer.name).name == materializer.name

    @pytest.mark.parametrize("limit", [0, 1 << 30])
    def test_values_come_back(self, values: list[Any], table: Materializers, store: ArtifactStore, limit: int) -> None:
        """Equal and of the same class, from files and from inline bytes."""
        for value in values:
            ref = self.save(value, table, store, limit)
            back = artifacts.load(ref, store=store, materializers=table, trusted=lambda _: True)
            assert type(back) is (self.loaded_type or type(value))
            assert self.same(value, back), f"{value!r:.200} came back as {back!r:.200}"

    def test_equal_values_are_equal_bytes(self, values: list[Any], table: Materializers, store: ArtifactStore) -> None:
        """Saving twice, and saving what was loaded, give one digest."""
        for value in values:
            ref = self.save(value, table, store)
            assert self.save(value, table, store).digest == ref.digest

    def test_spoilt_bytes_are_never_read(self, values: list[Any], table: Materializers, store: ArtifactStore) -> None:
        """A flipped bit is found before the materializer sees it."""
        ref = self.save(values[0], table, store)
        with store.open(ref.digest) as file:
            data = bytearray(file.read())
        data[len(data) // 2 : len(data) // 2 + 1] = (
            b"\xff" if data[len(data) // 2 : len(data) // 2 + 1] != b"\xff" else b"\0"
        )
        upload = store.begin()
        upload.write(data)
        upload.commit(ref.digest)
        with pytest.raises(CoreError, match=ref.digest):
            artifacts.load(ref, store=store, materializers=table, trusted=lambda _: True)

    def test_pickles_are_labelled(
        self, materializer: Materializer, values: list[Any], table: Materializers, store: ArtifactStore
    ) -> None:
        """What loads by running code is refused where its digest was never recorded."""
        ref = self.save(values[0], table, store)
        if materializer.pickles:
            with pytest.raises(UntrustedPickleError):
                artifacts.load(ref, store=store, materializers=table, trusted=lambda _: False)
        else:
            artifacts.load(ref, store=store, materializers=table, trusted=lambda _: not pytest.fail("asked for trust"))

    def test_previews_are_small_plain_data(self, materializer: Materializer, values: list[Any]) -> None:
        """JSON of a few KB at most."""
        for value in values:
            text = json.dumps(materializer.preview(value), allow_nan=False)
            assert len(text) <= PREVIEW
