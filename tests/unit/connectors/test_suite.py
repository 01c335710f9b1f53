"""The double of `core.testing` passes the suite of service connectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.testing.service_connector import MEMORY
from core.testing.suites.service_connector import ServiceConnectorSuite

if TYPE_CHECKING:
    from core.ports.service_connector import ConnectorType


class TestMemory(ServiceConnectorSuite):
    sdk = ("requests",)

    @pytest.fixture
    def kind(self) -> ConnectorType:
        return MEMORY

    def right(self):
        return {"password": {"password": "open sesame", "life": "60"}, "role": {"role": "reader"}}

    def wrong(self):
        return {"password": {"password": "open barley"}}

    def reached(self):
        return {"memory-bucket": "mem://three", "memory-generic": ""}

    def missing(self):
        return {"memory-bucket": "mem://four"}

    def environment(self):
        return {"MEMORY_PASSWORD": "open sesame"}
