"""A machine that sleeps: everything of a run stands still past its lease, and wakes; or a part of it does."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import faults_harness as harness
import pytest

SLEEPS = 3 * harness.HEARTBEAT + 0.6
LONG = """
@step
def long(word: str) -> str:
    trace(word)
    time.sleep(0.8)
    return word

@pipeline
def flow():
    long.with_options(name="left")("left")
    long.with_options(name="right")("right")

flow()
"""


class Sleeper(harness.Table):
    """A run of two steps that take a while; `sleep` when both are at work."""

    def __init__(self, folder: Path, workers: int) -> None:
        super().__init__(folder, "wide", workers)
        self.script.write_text(harness.HEAD + LONG)
        self.at_once = min(workers, 2)

    def sleep(self, driver: int) -> list[int]:
        """Stop the driver and all that it started; gives who that is."""
        until = time.monotonic() + 30
        while self.traces().total() < self.at_once:
            assert time.monotonic() < until, "its steps do not begin"
            time.sleep(0.01)
        asleep = sorted({driver, *harness.processes(str(self.script)), *_children(driver)})
        for pid in asleep:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(SLEEPS)
        return asleep


def _children(pid: int) -> list[int]:
    """Every process below it."""
    try:
        found = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*found, *(below for child in found for below in _children(child))]


def _wake(asleep: list[int]) -> None:
    for pid in asleep:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_run_that_slept_past_its_lease_ends_once(tmp_path: Path, workers: int) -> None:
    table = Sleeper(tmp_path, workers)
    process = table.begin()
    asleep = table.sleep(process.pid)
    assert table.state() == "lost"  # as far as anybody can know
    _wake(asleep)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert table.traces() == {"left": 1, "right": 1}
    table.check()


@pytest.mark.parametrize("workers", [1, 3] if harness.FULL else [3])
def test_a_run_that_went_on_elsewhere_meanwhile_ends_once(tmp_path: Path, workers: int) -> None:
    table = Sleeper(tmp_path, workers)
    process = table.begin()
    asleep = table.sleep(process.pid)
    resumed = table.begin("runs", "resume", "latest")
    told, _ = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, told
    _wake(asleep)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 5, said
    assert "another process" in said, said
    table.check()
    assert set(table.traces().values()) <= {1, 2}
