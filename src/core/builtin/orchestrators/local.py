"""The `local` orchestrator: steps run in the scheduler's own process; pdb and exceptions are plain Python."""

from __future__ import annotations

from typing import ClassVar

from core.errors import NotAllowedError
from core.ports.orchestrator import Orchestrator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import NoReturn

    from core.model.job import Job, JobHandle, JobState


class LocalOrchestrator(Orchestrator):
    """Inline: the scheduler calls `core.execute` itself, there is no job to launch, watch or end."""

    flavor: ClassVar[str] = "local"
    capabilities: ClassVar[frozenset[str]] = frozenset({"inline"})

    def launch(self, job: Job) -> JobHandle:
        """Raise `NotAllowedError`: nothing is launched."""
        raise self._inline(job.id)

    def state(self, handles: Sequence[JobHandle]) -> Mapping[str, JobState]:
        """Raise `NotAllowedError` for any handle: there are no jobs."""
        if handles:
            raise self._inline(handles[0].job)
        return {}

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[str]:  # noqa: ARG002 - the port's signature
        """Raise `NotAllowedError`: there are no jobs."""
        raise self._inline(handle.job)

    def cancel(self, handle: JobHandle) -> NoReturn:
        """Raise `NotAllowedError`: there are no jobs."""
        raise self._inline(handle.job)

    def _inline(self, job: str) -> NotAllowedError:
        return NotAllowedError(
            f"orchestrator {self.name!r} (local) runs steps in the driver's own process and has no job {job!r}",
            "choose a stack whose orchestrator launches jobs",
        )
