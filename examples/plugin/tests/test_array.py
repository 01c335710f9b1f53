"""The plugin is right when it passes core's own suite, and when core finds it."""

from array import array

import pytest
from core_plugin_array import ArrayMaterializer

from core.plugins.registry import Registry
from core.testing.suites.materializer import MaterializerSuite


class TestArray(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return ArrayMaterializer()

    @pytest.fixture
    def values(self):
        return [array("d"), array("b", [1, -2]), array("d", [0.1, float("inf")]), array("q", range(10_000))]


def test_core_finds_it():
    assert Registry().materializers().for_value(array("d")).name == "array"
