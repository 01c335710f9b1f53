"""kill -9 of driver and of worker at every failpoint and at random moments, on five shapes; then resume."""

from __future__ import annotations

import ast
import inspect
import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import faults_harness as harness
import pytest

import core
from core import Client
from core.faults import FAILPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterable

SHAPES = list(harness.SHAPES)
MAPPED = {"artifact.written", "step.expanded"}
"""Only the dynamic shape comes by: it has large outputs, and a map."""
WORKERS = ("task.", "worker.", "reply.", "event.acknowledged")
"""Beginnings of those that only workers come by."""
OFTEN = ("attempt.", "artifact.written", "checkpoint.kept")
"""Beginnings of those that the driver comes by twice on each shape, when it does the steps itself."""
ELSEWHERE = {
    "step.reused": "test_killed_when_a_step_was_reused_or_skipped",
    "step.skipped": "test_killed_when_a_step_was_reused_or_skipped",
    "run.resumed": "test_killed_when_a_run_goes_on",
    "integration.": "tests/unit/integrations",
    "job.": "test_jobs.py, tests/integration/test_jobs.py",
    "container.": "test_jobs.py",
    "run.cleared": "test_jobs.py",
    "image.": "test_images.py",
    "driver.": "tests/integration/test_detached.py",
    "journal.push": "tests/integration/test_journal_faults.py",
}
"""Those that have tests of their own, by beginning: a test of this file, or files and folders, from here or the root."""
NAMES = sorted(name for name in FAILPOINTS if not name.startswith(tuple(ELSEWHERE)))


def cases() -> list[tuple[str, str, int, int]]:
    """Every failpoint on every shape, in one process and with workers, at its first or second pass; per change each once."""
    found = []
    for name in NAMES:
        shapes = ["dynamic"] if name in MAPPED else SHAPES
        places = [(3, 1)] if name.startswith(WORKERS) else [(1, 1), (3, 1)]
        if name.startswith(OFTEN):
            places.append((1, 2))
        every = [(name, shape, workers, nth) for shape in shapes for workers, nth in places]
        found += every if harness.FULL else [every[NAMES.index(name) % len(every)]]
    return found


@pytest.mark.parametrize(("name", "shape", "workers", "nth"), cases())
def test_killed_at_a_failpoint_then_resumed(tmp_path: Path, name: str, shape: str, workers: int, nth: int) -> None:
    table = harness.Table(tmp_path, shape, workers)
    heartbeat = "0.05" if name == "lease.renew" else str(harness.HEARTBEAT)  # one is due before the run is over
    process = table.begin(CORE_FAILPOINTS=f"{name}=kill:{tmp_path}/fired@{nth}", CORE_HEARTBEAT=heartbeat)
    said, _ = process.communicate(timeout=60)
    assert (tmp_path / "fired").exists(), f"nothing came by {name}: {said}"
    table.complete(said)
    table.check()


@pytest.mark.parametrize("shape", SHAPES if harness.FULL else SHAPES[:1])
def test_killed_when_a_run_goes_on(tmp_path: Path, shape: str) -> None:
    table = harness.Table(tmp_path, shape, 1)
    said, _ = table.begin(CORE_FAILPOINTS="attempt.begun=kill").communicate(timeout=60)
    assert table.settled() == "lost", said
    resumed = table.begin("runs", "resume", "latest", CORE_FAILPOINTS="run.resumed=kill")
    said, _ = resumed.communicate(timeout=60)
    assert resumed.returncode == -signal.SIGKILL, said
    table.complete(said)
    table.check()


AGAIN = """
from core import pipeline, step

@step
def make() -> int:
    return 1

@step(cache=False)
def no(x: int) -> bool:
    return False

@step
def left_out(x: int) -> int:
    return x

@pipeline
def flow():
    x = make()
    left_out.with_options(when=no(x))(x)

flow()
"""


@pytest.mark.parametrize("name", ["step.reused", "step.skipped"])
def test_killed_when_a_step_was_reused_or_skipped(tmp_path: Path, name: str) -> None:
    table = harness.Table(tmp_path, "chain", 1)
    table.script.write_text(AGAIN)
    said, _ = table.begin().communicate(timeout=60)
    assert table.settled() == "completed", said  # so that the next can reuse
    process = table.begin(CORE_FAILPOINTS=f"{name}=kill")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said
    resumed = table.begin("runs", "resume", "latest")
    said, _ = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, said
    run = Client(str(table.home)).run()
    states = {name: str(found.state) for name, found in run.steps.items()}
    assert states == {"make": "reused", "no": "completed", "left_out": "skipped"}


def test_every_failpoint_is_in_the_list_and_in_the_code() -> None:
    called = set()
    for path in Path(core.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "failpoint(" in text else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                called.update(arg.value for arg in node.args if isinstance(arg, ast.Constant))
    assert called == set(FAILPOINTS)
    assert {case[0] for case in cases()} == set(NAMES)
    assert not [beginning for beginning in ELSEWHERE if not any(name.startswith(beginning) for name in FAILPOINTS)]


def told(place: str) -> str:
    """The tests of a place that `ELSEWHERE` names, as text."""
    if place in globals():
        return inspect.getsource(globals()[place])
    here = Path(__file__).parent
    path = next(found for found in (here / place, here.parents[1] / place) if found.exists())
    return "\n".join(
        file.read_text(encoding="utf-8") for file in ([path] if path.is_file() else path.rglob("test_*.py"))
    )


def unnamed(names: Iterable[str]) -> list[str]:
    """Those that no test names where `ELSEWHERE` says that one does."""
    texts = {beginning: "\n".join(map(told, places.split(", "))) for beginning, places in ELSEWHERE.items()}
    return [
        name
        for name in names
        for beginning, text in texts.items()
        if name.startswith(beginning) and not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", text)
    ]


def test_each_failpoint_that_is_played_elsewhere_is_named_there() -> None:
    assert unnamed(FAILPOINTS) == []
    assert unnamed(["job.launch", "integration.new", "step.expanded"]) == ["job.launch", "integration.new"]


SEEDS = range(200) if harness.FULL else range(6)


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
    for shape in SHAPES if harness.FULL else ("diamond", "dynamic"):
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
    processes = {process.pid: process for process in (table.begin() for _ in range(32 if harness.FULL else 6))}
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
