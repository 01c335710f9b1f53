"""What every test gets, those of the plugins too: a home of its own, properties that repeat in CI. Engines come from `core.testing.engines`."""

from __future__ import annotations

import compileall
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from core import mask
from core.testing.engines.fixtures import REQUIRE

if TYPE_CHECKING:
    from collections.abc import Callable

# A busy machine is slow at times, which is no defect; in CI the same examples come each time.
EXAMPLES = 200 if os.environ.get("CORE_FAULTS") == "1" else 40
settings.register_profile("dev", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

ROOT = Path(__file__).parent
TOGETHER = {"tests/acceptance/test_example.py", "tests/unit/builtin/test_materializers_libraries.py"}
"""Files that one worker of pytest-xdist takes whole: they share what takes long to make or to import."""


def pytest_configure(config: pytest.Config) -> None:
    """Make processes of tests start quickly (core is compiled once, also where Python may not write bytecode) and hear Ctrl-C.

    A shell has what it runs in the background ignore SIGINT, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        for folder in (ROOT / "src", *ROOT.glob("plugins/*/src")):
            compileall.compile_dir(folder, quiet=2)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out tests one by one, but those of the files in `TOGETHER`."""
    from xdist.scheduler import LoadScopeScheduling  # where there is no pytest-xdist nobody calls this

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return path if path in TOGETHER else nodeid

    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def core_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of state of this test alone; nothing of the person's own settings reaches it."""
    for name in list(os.environ):
        if name.startswith("CORE_") and name != REQUIRE:
            monkeypatch.delenv(name)
    monkeypatch.setattr("core.mask._known", mask._Known())  # what was secret in another test is none in this one
    home = tmp_path / "core-home"
    monkeypatch.setenv("CORE_HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    return home


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs this Python with arguments in a fresh process, and fails the test with all it printed unless it exits with `code`."""

    def call(*words: object, code: int = 0, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload]
        assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return call
