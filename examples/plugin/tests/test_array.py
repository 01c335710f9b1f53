"""The plugin is right when what it saves comes back, and when core finds it."""

from array import array

import pytest

from core import artifacts
from core.builtin.stores.local import LocalArtifactStore
from core.plugins.registry import Registry

VALUES = [array("d"), array("b", [1, -2]), array("d", [0.1, float("inf")])]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_arrays_come_back(value, tmp_path):
    kept = {"store": LocalArtifactStore(str(tmp_path)), "materializers": Registry().materializers()}
    ref = artifacts.save(value, **kept)
    assert ref.materializer == "array"
    assert artifacts.load(ref, **kept, trusted=lambda _: False) == value
