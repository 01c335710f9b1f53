"""An orchestrator double: jobs are processes of this machine, known to this object only."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, ClassVar

from core.errors import InfrastructureError
from core.model.job import JobHandle, JobPhase, JobState
from core.plugins.flavor import Flavor, hookimpl
from core.ports.orchestrator import Orchestrator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from core.model.job import Job

POLL = 0.01
"""Seconds between two looks at a log that is followed."""


class ProcessOrchestrator(Orchestrator):
    """Launches each job as a process group and keeps its output in a temporary file; for tests of drivers."""

    flavor: ClassVar[str] = "process"
    capabilities: ClassVar[frozenset[str]] = frozenset({"cancel", "detach"})
    slots = 4
    folders = True
    python = (sys.executable, "-P")

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, subprocess.Popen[bytes]] = {}
        self._cancelled: set[str] = set()
        self._folder = tempfile.mkdtemp(prefix="core-jobs-")
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)

    def launch(self, job: Job) -> JobHandle:
        """Start the process unless this job was launched before."""
        if job.id not in self._jobs:
            environment = {**os.environ, **job.environment}
            with open(self._log(job.id), "wb") as log, tempfile.TemporaryFile() as bundle:
                bundle.write(job.bundle)
                bundle.seek(0)
                try:
                    process = subprocess.Popen(  # noqa: S603 - running what it is told is its work
                        job.command,
                        stdout=log,
                        stderr=log,
                        stdin=bundle,
                        env=environment,
                        start_new_session=True,
                    )
                except OSError as error:
                    raise InfrastructureError(f"job {job.id!r} cannot start: {error}", "check its command") from error
            self._jobs[job.id] = process
        return JobHandle(job.id, self.flavor, {"pid": str(self._jobs[job.id].pid)})

    def state(self, handles: Sequence[JobHandle]) -> Mapping[str, JobState]:
        """By exit code; a cancelled job says so."""
        return {handle.job: self._state(handle.job) for handle in handles}

    def _state(self, job: str) -> JobState:
        process = self._jobs.get(job)
        if process is None:
            return JobState(JobPhase.UNKNOWN, reason="never launched here")
        code = process.poll()
        if code is None:
            return JobState(JobPhase.RUNNING)
        if job in self._cancelled:
            return JobState(JobPhase.CANCELLED, code)
        code = 128 - code if code < 0 else code
        return JobState(JobPhase.FAILED if code else JobPhase.SUCCEEDED, code)

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[str]:
        """Lines printed so far, or until the process ends."""
        with open(self._log(handle.job), encoding="utf-8", errors="replace") as file:
            rest = ""
            while True:
                running = follow and self._jobs[handle.job].poll() is None
                rest += file.read()
                *lines, rest = rest.split("\n")
                yield from lines
                if not running:
                    break
                time.sleep(POLL)
            if rest:
                yield rest

    def cancel(self, handle: JobHandle) -> None:
        """Kill the process group and wait for its end."""
        process = self._jobs.get(handle.job)
        if process is None:
            return
        if process.poll() is None:
            self._cancelled.add(handle.job)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # what it started may be left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def tell(self, handle: JobHandle) -> None:
        """SIGTERM to the process itself."""
        process = self._jobs.get(handle.job)
        if process is not None and process.poll() is None:
            process.terminate()

    def close(self) -> None:
        """End every job that still runs."""
        for job in self._jobs:
            self.cancel(JobHandle(job, self.flavor))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _log(self, job: str) -> str:
        return os.path.join(self._folder, job.encode().hex()[:200])


@hookimpl
def core_flavors() -> list[Flavor]:
    """The flavor above, where a test or a page names this module as a plugin."""
    target = f"{__name__}:ProcessOrchestrator"
    return [Flavor("orchestrator", "process", target, "Processes of this machine; for tests.")]
