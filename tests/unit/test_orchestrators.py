"""The orchestrators that ship pass the suite that plugin authors use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.builtin.orchestrators.local import LocalOrchestrator
from core.testing.orchestrator import ProcessOrchestrator
from core.testing.suites.orchestrator import OrchestratorSuite

if TYPE_CHECKING:
    from collections.abc import Iterator


class TestLocal(OrchestratorSuite):
    """The in-process one."""

    @pytest.fixture
    def orchestrator(self) -> LocalOrchestrator:
        return LocalOrchestrator()


class TestProcess(OrchestratorSuite):
    """The double."""

    @pytest.fixture
    def orchestrator(self) -> Iterator[ProcessOrchestrator]:
        double = ProcessOrchestrator()
        yield double
        double.close()
