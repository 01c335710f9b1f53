"""Conformance suite for orchestrators: tests what the class declares in `capabilities`."""

from __future__ import annotations

import hashlib
import sys
import time
from typing import TYPE_CHECKING

import pytest

from core.errors import NotAllowedError
from core.model.job import ENDED_JOB, Job, JobHandle, JobPhase
from core.ports.orchestrator import CAPABILITIES

if TYPE_CHECKING:
    from core.model.job import JobState
    from core.ports.orchestrator import Orchestrator


def python(job: str, code: str) -> Job:
    """A job that runs `code` with this Python; override `OrchestratorSuite.job` for orchestrators with images."""
    return Job(job, (sys.executable, "-c", code))


class OrchestratorSuite:
    """Subclass it as `Test...` and override the fixture `orchestrator`, and `job` where a job needs an image."""

    seconds = 30.0
    """How long a small job may take to end."""

    @pytest.fixture
    def orchestrator(self) -> Orchestrator:
        """The orchestrator under test, new for each test."""
        raise NotImplementedError

    def job(self, name: str, code: str) -> Job:
        """A job that runs Python `code`."""
        return python(name, code)

    def wait(self, orchestrator: Orchestrator, handle: JobHandle) -> JobState:
        """The state at the end of the job; fails the test when it does not come in `seconds`."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            state = orchestrator.state([handle])[handle.job]
            if state.phase in ENDED_JOB:
                return state
            time.sleep(0.02)
        pytest.fail(f"job {handle.job} did not end in {self.seconds} s")

    def _jobs(self, orchestrator: Orchestrator) -> None:
        if "inline" in orchestrator.capabilities:
            pytest.skip("an inline orchestrator launches no jobs")

    def test_declares_what_it_is(self, orchestrator: Orchestrator) -> None:
        """Type, flavor, and only capabilities that exist."""
        assert orchestrator.type == "orchestrator"
        assert orchestrator.flavor
        assert orchestrator.capabilities <= set(CAPABILITIES)

    def test_inline_launches_nothing(self, orchestrator: Orchestrator) -> None:
        """An inline orchestrator refuses to launch, with a reason."""
        if "inline" not in orchestrator.capabilities:
            pytest.skip("it launches jobs")
        with pytest.raises(NotAllowedError):
            orchestrator.launch(self.job("inline-1", "pass"))
        assert not orchestrator.state([])

    def test_exit_code_tells(self, orchestrator: Orchestrator) -> None:
        """0 is success, another code is failure and is told."""
        self._jobs(orchestrator)
        good = orchestrator.launch(self.job("good", "pass"))
        bad = orchestrator.launch(self.job("bad", "raise SystemExit(3)"))
        assert self.wait(orchestrator, good).phase is JobPhase.SUCCEEDED
        state = self.wait(orchestrator, bad)
        assert (state.phase, state.exit_code) == (JobPhase.FAILED, 3)

    def test_logs_are_lines(self, orchestrator: Orchestrator) -> None:
        """Following gives every line up to the end, stderr included, text of any script intact."""
        self._jobs(orchestrator)
        code = "import sys; print('one'); print('zwei \\u00fc'); sys.stdout.flush(); print('three', file=sys.stderr)"
        handle = orchestrator.launch(self.job("talks", f"import os; os.environ['PYTHONUTF8']='1'; {code}"))
        assert sorted(orchestrator.logs(handle, follow=True)) == ["one", "three", "zwei \u00fc"]

    def test_launch_is_idempotent(self, orchestrator: Orchestrator) -> None:
        """The same id again gives the same handle and runs nothing twice."""
        self._jobs(orchestrator)
        job = self.job("twice", "print('ran')")
        first, second = orchestrator.launch(job), orchestrator.launch(job)
        assert first == second
        self.wait(orchestrator, first)
        assert list(orchestrator.logs(first)) == ["ran"]

    def test_environment_arrives(self, orchestrator: Orchestrator) -> None:
        """Variables reach the job unchanged."""
        self._jobs(orchestrator)
        job = self.job("env", "import os; print(os.environ['CORE_TEST_VALUE'])")
        handle = orchestrator.launch(job._replace(environment={"CORE_TEST_VALUE": "a b;'\"$c"}))
        assert list(orchestrator.logs(handle, follow=True)) == ["a b;'\"$c"]

    def test_unknown_job(self, orchestrator: Orchestrator) -> None:
        """A handle of nobody's is UNKNOWN, never an error."""
        self._jobs(orchestrator)
        handle = JobHandle("nobody", orchestrator.flavor)
        assert orchestrator.state([handle])["nobody"].phase is JobPhase.UNKNOWN

    def test_cancel_ends(self, orchestrator: Orchestrator) -> None:
        """A cancelled job ends as such; cancelling again, or after the end, is fine."""
        self._jobs(orchestrator)
        if "cancel" not in orchestrator.capabilities:
            pytest.skip("it does not declare `cancel`")
        handle = orchestrator.launch(self.job("long", "import time; time.sleep(600)"))
        orchestrator.cancel(handle)
        assert self.wait(orchestrator, handle).phase is JobPhase.CANCELLED
        orchestrator.cancel(handle)

    def test_bundle_arrives(self, orchestrator: Orchestrator) -> None:
        """What a job must be told comes whole, at its stdin or in the file that `CORE_BUNDLE` names."""
        self._jobs(orchestrator)
        read = "(open(p, 'rb') if (p := os.environ.get('CORE_BUNDLE')) else sys.stdin.buffer).read()"
        code = f"import hashlib, os, sys; print(hashlib.sha256({read}).hexdigest())"
        bundle = bytes(range(256)) * 1000
        handle = orchestrator.launch(self.job("told", code)._replace(bundle=bundle))
        assert list(orchestrator.logs(handle, follow=True)) == [hashlib.sha256(bundle).hexdigest()]

    def test_tell_asks_to_end(self, orchestrator: Orchestrator) -> None:
        """SIGTERM reaches the job, which may end as it likes."""
        self._jobs(orchestrator)
        if "cancel" not in orchestrator.capabilities:
            pytest.skip("it does not declare `cancel`")
        code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(4)); print('up', flush=True)"
        handle = orchestrator.launch(self.job("asked", f"{code}; time.sleep(600)"))
        next(iter(orchestrator.logs(handle, follow=True)))
        orchestrator.tell(handle)
        assert self.wait(orchestrator, handle).exit_code in {4, 143}
        orchestrator.tell(handle)
