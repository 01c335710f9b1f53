"""Behaviours of steps on graphs of every shape, in this process and in workers: the suite that orchestrators join."""

from __future__ import annotations

import os

import pytest

from core.model.spec import RunOptions
from core.testing.suites.runs import SHAPES, RunSuite

FULL = os.environ.get("CORE_FAULTS") == "1"


class TestInProcess(RunSuite):
    """Steps run in the driver's process, one after another."""

    own_process = False


class TestWorkers(RunSuite):
    """Steps run in worker processes, side by side."""

    options = RunOptions(workers=3)

    @pytest.fixture(params=SHAPES if FULL else ["fan", "nested"])
    def shape(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)
