"""Many processes that record into one database at once, against as many that do the least that recording takes."""

from __future__ import annotations

import subprocess
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.harness import PYTHON, WORK, Bench, BenchmarkError, Figure, environment

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES = 32


def writers(bench: Bench) -> list[Figure]:
    """Steps a second of 32 processes with 100 steps each, from the word go: start-up excluded."""
    processes, steps = bench.size(PROCESSES, 8), bench.size(100, 20)
    home, folder = bench.home(), bench.home()
    ours, floor = [], []
    for number in range(bench.runs + 1):
        pair = [
            _race(bench, kind, place, number, processes, steps) for kind, place in (("core", home), ("floor", folder))
        ]
        if number:
            ours.append(pair[0])
            floor.append(pair[1])
    ratio = median(a / b for a, b in zip(ours, floor, strict=True))
    return [
        Figure(
            *(f"{processes} processes x {steps} steps", median(ours), "steps/s", median(floor)), against="floor", ratio=ratio,
            budget=0.5, moonshot=0.8, more_is_better=True,
        ),
    ]  # fmt: skip


def _race(bench: Bench, kind: str, place: Path, number: int, processes: int, steps: int) -> float:
    """Steps a second from the go to the last that is done."""
    started = [
        _start(bench, kind, place, (number * processes + index) * 10_000_000, steps) for index in range(processes)
    ]
    for process in started:
        expect(process, "ready")
    began = time.perf_counter()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        expect(process, "done")
    took = time.perf_counter() - began
    for process in started:
        process.communicate(timeout=60)
        if process.returncode:
            raise BenchmarkError(f"a {kind} writer ended with {process.returncode}")
    return processes * steps / took


def _start(bench: Bench, kind: str, place: Path, seed: int, steps: int) -> subprocess.Popen[str]:
    command = [PYTHON, str(WORK / "writer.py"), kind, str(place), str(seed), str(steps)]
    pipe = subprocess.PIPE
    with (bench.folder / f"{kind}.err").open("a") as errors:
        return subprocess.Popen(
            command, env=environment(place), cwd=bench.folder, stdin=pipe, stdout=pipe, stderr=errors, text=True
        )


def expect(process: subprocess.Popen[str], word: str) -> None:
    """Read until `word`; lines of the run's own display pass by."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise BenchmarkError(f"a writer ended before it said {word!r}, with exit code {process.wait()}")
