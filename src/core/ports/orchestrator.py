"""Orchestrator: launches jobs, tells their state, streams their logs and ends them. It never schedules a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from core.model.nothing import NOTHING
from core.ports.component import Component

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from core.model.job import Job, JobHandle, JobState
    from core.ports.container_registry import RegistryLogin

CAPABILITIES = {
    "inline": "runs attempts in the scheduler's own process; launches nothing",
    "reattach": "a restarted driver can go on with the handles of the one that died",
    "cancel": "ends a running job, and nothing of it is left",
    "detach": "can launch the driver itself as a job",
    "watch": "tells changes of state without polling",
}


class Orchestrator(Component, ABC):
    """Runs jobs somewhere. Each call is idempotent on the job's id; handles are plain data."""

    type: ClassVar[str] = "orchestrator"
    capabilities: ClassVar[frozenset[str]] = frozenset()
    """Names from `CAPABILITIES`; the conformance suite tests what is declared."""
    needs_image: ClassVar[bool] = False
    """Whether its jobs run in container images: core then makes one for each step before the first is launched."""
    image: str = ""
    """A ready image for steps that ask for nothing in theirs, and whose pipeline doesn't either; empty: none."""
    engine: str = ""
    """Address of the Docker engine that its jobs run on: images that are built there need no registry."""
    login: Callable[[str], RegistryLogin | None] | None = None
    """Gives the login with which an image can be pulled; set before first use."""
    slots: int = 16
    """Jobs that may be at work at a time where nobody says how many."""
    folders: bool = False
    """Whether its jobs can be given folders of this machine, see `Job.folders`."""
    python: tuple[str, ...] = ("python",)
    """How its jobs start Python."""
    environment: Mapping[str, str] = NOTHING
    """Variables that its jobs get, beside their own: what of them is secret is masked there."""

    def moved(self) -> Any:
        """Settings with which a driver that is a job of it, or of another orchestrator, reaches what this one reaches.

        Raises `ConfigurationError` where that can't be.
        """
        return self.settings

    def pinned(self, image: str, before: str = "") -> str:
        """A reference to what `image`, a ready one, is now: a tag that moves later changes nothing.

        `before` is what it gave when the run that goes on began: that is taken while it can be had. Never raises: what
        can't be told now stays as it is, and launching tells why.
        """
        return before or image

    def prepare(self, run: str) -> None:
        """Set up what the jobs of `run` share; called once before the first launch."""

    @abstractmethod
    def launch(self, job: Job) -> JobHandle:
        """Start `job` and return at once; one that was launched before, by whomever, is left as it is.

        Raises `ImageUnavailable`, `InfrastructureError` or `ConfigurationError`, and starts nothing then; an inline
        orchestrator raises `NotAllowedError`. Any thread may call the methods, for many jobs at a time.
        """

    @abstractmethod
    def state(self, handles: Sequence[JobHandle]) -> Mapping[str, JobState]:
        """State of each job, by job id; `UNKNOWN` for one that is not known."""

    @abstractmethod
    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[str]:
        """Lines that the job printed, without line ends; with `follow` until it ends."""

    @abstractmethod
    def cancel(self, handle: JobHandle) -> None:
        """End the job and all it started, and remove what is left of it; one that ended already is fine."""

    def tell(self, handle: JobHandle) -> None:
        """Ask the job to end (SIGTERM) and return at once; by default it is ended."""
        self.cancel(handle)

    def finish(self, run: str) -> None:
        """Take down what `prepare` set up; called once after the last job, also after a failure."""
