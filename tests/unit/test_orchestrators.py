"""The orchestrators that ship pass the suite that plugin authors use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.builtin.orchestrators.docker import state_of
from core.builtin.orchestrators.local import LocalOrchestrator
from core.model.job import JobCause
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


@pytest.mark.parametrize(
    ("code", "finished", "cause"),
    [
        (143, "2026-11-25T13:00:01.123456789Z", JobCause.DEADLINE),
        (143, "2026-11-25T12:59:59.9Z", JobCause.EXIT),  # it was told to, and is looked at later
        (137, "2026-11-25T13:00:01.5Z", JobCause.EXIT),  # somebody else killed it
        (1, "2026-11-25T13:00:01Z", JobCause.EXIT),
    ],
)
def test_a_container_whose_deadline_was_over(code: int, finished: str, cause: JobCause) -> None:
    deadline = datetime(2026, 11, 25, 13, tzinfo=UTC).timestamp()
    state = {"Status": "exited", "ExitCode": code, "FinishedAt": finished}
    told = state_of({"State": state, "Config": {"Labels": {"core.deadline": str(deadline)}}})
    assert (told.exit_code, told.cause) == (code, cause)
