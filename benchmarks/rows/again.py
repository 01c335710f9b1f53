"""Work that is not done twice: of many processes that want one result, and of a run that goes on."""

from __future__ import annotations

import subprocess
import time
from shutil import copytree
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.harness import (
    PYTHON,
    WORK,
    Bench,
    BenchmarkError,
    Cost,
    Figure,
    core_command,
    cost,
    emptied,
    environment,
    figure,
    in_turn,
    values,
)  # fmt: skip
from benchmarks.rows.writers import PROCESSES, expect

if TYPE_CHECKING:
    from pathlib import Path


def flight(bench: Bench) -> list[Figure]:
    """32 processes that want one cached step of a second, from the word go: how often it runs, and when all have it."""
    processes, home = bench.size(PROCESSES, 8), bench.home()
    raced = [_race(bench, home, processes, number) for number in range(bench.runs)]
    name = f"{processes} processes, one step of 1 s"
    return [
        Figure(f"{name}: executions", max(ran for ran, _ in raced), "", measure="value", budget=1, note="the most of all runs"),
        Figure(f"{name}: until all have it", median(took for _, took in raced), "s wall", 1.0, "the step alone"),
    ]  # fmt: skip


def _race(bench: Bench, home: Path, processes: int, seed: int) -> tuple[int, float]:
    """How often the step ran, and seconds from the go to the last that has its result."""
    said = bench.folder / f"said-{seed}"
    command = [PYTHON, str(WORK / "alone.py"), str(seed), str(said)]
    pipe = subprocess.PIPE
    with (bench.folder / "alone.err").open("a") as errors:
        started = [
            subprocess.Popen(
                command, env=environment(home), cwd=bench.folder, stdin=pipe, stdout=pipe, stderr=errors, text=True
            )
            for _ in range(processes)
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
            raise BenchmarkError(f"a process that wants the step ended with {process.returncode}")
    return len(said.read_text().splitlines()), took


def resume(bench: Bench) -> list[Figure]:
    """`core runs resume` of a chain of 1,000 of which 900 are done, against a new run that reuses them. CPU seconds."""
    count, done = bench.size(1000, 200), bench.size(900, 180)
    home, kept, fixed = bench.folder / "new", bench.folder / "kept", bench.folder / "fixed"
    begin = [PYTHON, WORK / "broken.py", count, done, fixed]
    try:
        cost(bench, begin, home=emptied(home))
    except BenchmarkError:
        copytree(home, kept)  # it fails, as it should
    fixed.touch()

    def go_on(command: list[object]) -> Cost:
        copytree(kept, emptied(home), dirs_exist_ok=True)
        return cost(bench, command, home=home)

    sides = in_turn(
        bench.runs,
        lambda _: go_on([*core_command(), "runs", "resume", "latest"]),
        lambda _: go_on(begin),
    )
    ours, new = map(values, sides)
    return [
        figure(f"resume {count:,} of which {done} are done", ours, new, "ms CPU", 1000, against="a new run, reusing")
    ]
