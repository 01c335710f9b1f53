"""What every test gets: a home of its own, engines that are really there, properties that repeat in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A busy machine is slow at times, which is no defect; in CI the same examples come each time.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

REQUIRE = "CORE_TEST_REQUIRE_ENGINES"


@pytest.fixture(autouse=True)
def core_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of state of this test alone; nothing of the person's own settings reaches it."""
    for name in list(os.environ):
        if name.startswith("CORE_") and name != REQUIRE:
            monkeypatch.delenv(name)
    home = tmp_path / "core-home"
    monkeypatch.setenv("CORE_HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    return home


@pytest.fixture
def engine() -> Callable[[str], str]:
    """Gives the path of a program that a test needs; without it the test is skipped, or fails where all must be there."""

    def find(command: str) -> str:
        path = shutil.which(command)
        if path is None:
            missing(f"the program {command!r} is not installed")
        return path or ""

    return find


def missing(what: str) -> None:
    """Skip the running test because of `what`, or fail it where `CORE_TEST_REQUIRE_ENGINES=1` says that all must be there."""
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{what}, and {REQUIRE}=1")
    pytest.skip(what)


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs this Python with arguments in a fresh process, and fails the test with all it printed unless it exits with `code`."""

    def call(*words: object, code: int = 0, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload]
        assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return call
