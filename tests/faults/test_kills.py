"""kill -9 of driver and of worker at every failpoint and at random moments, on five shapes; then resume."""

from __future__ import annotations

import ast
import importlib.util
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import core
from core.faults import FAILPOINTS

_spec = importlib.util.spec_from_file_location("faults_harness", Path(__file__).with_name("harness.py"))
harness: Any = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
sys.modules["faults_harness"] = harness
_spec.loader.exec_module(harness)  # type: ignore[union-attr]

SHAPES = list(harness.SHAPES)
ELSEWHERE = ("integration.", "job.")  # tests/unit/integrations and test_jobs.py have those
NAMES = sorted(name for name in FAILPOINTS if not name.startswith(ELSEWHERE))


def cases() -> list[tuple[str, str, int]]:
    """Every failpoint on every shape, in one process and with workers; per change each failpoint on one shape."""
    every = [(name, shape, workers) for name in NAMES for shape in SHAPES for workers in (1, 3)]
    if harness.FULL:
        return every
    return [case for case in every if SHAPES.index(case[1]) == (NAMES.index(case[0]) + case[2]) % len(SHAPES)]


@pytest.mark.parametrize(("name", "shape", "workers"), cases())
def test_killed_at_a_failpoint_then_resumed(tmp_path: Path, name: str, shape: str, workers: int) -> None:
    table = harness.Table(tmp_path, shape, workers)
    nth = random.Random(f"{name} {shape} {workers}").randint(1, 2)  # noqa: S311 - the same each time
    armed = {"CORE_FAILPOINTS": f"{name}=kill@{nth}"}
    process = table.begin(**({} if name == "run.resumed" else armed))
    if name == "run.resumed":
        time.sleep(0.25)
        process.kill()
    said, _ = process.communicate(timeout=60)
    if name == "run.resumed" and table.settled() == "lost":
        resumed = table.begin("runs", "resume", "latest", CORE_FAILPOINTS="run.resumed=kill")
        resumed.communicate(timeout=60)
        assert resumed.returncode == -signal.SIGKILL
    table.complete(said)
    table.check()


def test_every_failpoint_is_in_the_list_and_in_the_code() -> None:
    called = set()
    for path in Path(core.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                called.update(arg.value for arg in node.args if isinstance(arg, ast.Constant))
    assert called == set(FAILPOINTS)
    assert {name for name, _, _ in cases()} == set(NAMES)


SEEDS = range(200) if harness.FULL else range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_then_resumed(tmp_path: Path, seed: int) -> None:
    print("seed", seed)
    draw = random.Random(seed)  # noqa: S311 - the same each time
    table = harness.Table(tmp_path, draw.choice(SHAPES), draw.choice([1, 3]))
    process = table.begin()
    time.sleep(draw.uniform(0.05, 0.45))
    victims = [pid for pid in harness.processes(str(table.script)) if pid != process.pid]
    if victims and draw.random() < 0.5:
        try:
            os.kill(draw.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            pass
        if draw.random() < 0.5:
            process.kill()
    else:
        process.kill()
    said, _ = process.communicate(timeout=60)
    table.complete(said)
    table.check()


def test_an_undisturbed_run_gives_the_same_in_one_process_and_with_workers(tmp_path: Path) -> None:
    for shape in SHAPES:
        found = []
        for workers in (1, 3):
            folder = tmp_path / f"{shape}{workers}"
            folder.mkdir()
            table = harness.Table(folder, shape, workers)
            said, _ = table.begin().communicate(timeout=60)
            assert table.state() == "completed", said
            table.check()
            found.append(harness.outputs(table))
        assert found[0] == found[1]


SINGLE = """
import os, time
from core import pipeline, step

@step
def slow(x: int) -> int:
    with open(os.environ["TRACE"], "a") as file:
        file.write(f"{os.getpid()}\\n")
    until = time.monotonic() + 30
    while os.path.exists("wait") and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)
    return x

@pipeline
def flow():
    slow(1)

flow()
"""


@pytest.mark.parametrize("kill", [False, True])
def test_of_many_processes_that_want_one_cached_step_one_runs_it(tmp_path: Path, kill: bool) -> None:  # noqa: FBT001
    table = harness.Table(tmp_path, "chain", 1)
    table.script.write_text(SINGLE)
    trace, wait = tmp_path / "trace", tmp_path / "wait"
    wait.touch()
    processes = {process.pid: process for process in (table.begin() for _ in range(32 if harness.FULL else 8))}
    while not trace.exists() or not trace.read_text().endswith("\n"):
        assert any(process.poll() is None for process in processes.values())
        time.sleep(0.005)
    time.sleep(0.3)  # others come and wait
    if kill:
        processes[int(trace.read_text())].kill()
    wait.unlink()
    said = [process.communicate(timeout=60)[0] for process in processes.values()]
    codes = Counter(process.returncode for process in processes.values())
    assert codes == ({0: len(processes) - 1, -9: 1} if kill else {0: len(processes)}), said
    assert table.traces().total() == (2 if kill else 1)
