"""Many processes that record into one database at once, against as many that do the least that recording takes."""

from __future__ import annotations

import json
import subprocess
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.harness import PYTHON, WORK, Bench, BenchmarkError, Figure, environment, figure

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


def appends(bench: Bench) -> list[Figure]:
    """How long one append of 32 processes takes that all append every 10 ms: waiting for the others included."""
    processes, count = bench.size(PROCESSES, 8), bench.size(100, 20)
    rounds = []
    for number in range(bench.runs):
        sides = []
        for kind in ("core", "floor"):
            place = bench.home()
            told = [
                _start(bench, "appends", kind, place, number * processes + index, count) for index in range(processes)
            ]
            _go(told)
            waits = [seconds for process in told for seconds in json.loads(_ended(process))]
            cuts = quantiles(waits, n=100)
            sides.append((cuts[49], cuts[98]))
        rounds.append(sides)
    names = [f"{processes} writers: append, {word}" for word in ("p50", "p99")]
    return [
        figure(
            name, [ours[place] for ours, _ in rounds], [theirs[place] for _, theirs in rounds], "ms wall", 1000,
            against="floor", measure="value", budget=[None, 100][place],
        )
        for place, name in enumerate(names)
    ]  # fmt: skip


def _race(bench: Bench, kind: str, place: Path, number: int, processes: int, steps: int) -> float:
    """Steps a second from the go to the last that is done."""
    seeds = [(number * processes + index) * 10_000_000 for index in range(processes)]
    started = [_start(bench, "writer", kind, place, seed, steps) for seed in seeds]
    took = _go(started)
    for process in started:
        _ended(process)
    return processes * steps / took


def _go(started: list[subprocess.Popen[str]]) -> float:
    """Let them begin when all are ready; seconds until the last is done."""
    for process in started:
        expect(process, "ready")
    began = time.perf_counter()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        expect(process, "done")
    return time.perf_counter() - began


def _ended(process: subprocess.Popen[str]) -> str:
    """What it says at last."""
    assert process.stdout is not None
    said = process.stdout.read()  # not `communicate`: a part is read already
    process.communicate(timeout=60)
    if process.returncode:
        raise BenchmarkError(f"a writer ended with {process.returncode}")
    return said


def _start(bench: Bench, work: str, kind: str, place: Path, seed: int, steps: int) -> subprocess.Popen[str]:
    command = [PYTHON, str(WORK / f"{work}.py"), kind, str(place), str(seed), str(steps)]
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
