"""Whole processes: the import, hello and the chain of 100 against plain scripts. CPU seconds of the process tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import PYTHON, REFERENCES, WORK, Bench, Cost, Figure, cost, emptied, figure, in_turn, values
from core.bundle import START

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

APART = 1_000_000
"""Between seeds, so that no run meets values of an earlier one and reuses its steps."""


def imported(bench: Bench) -> list[Figure]:
    """`from core import step, pipeline` against a bare Python."""

    def run(code: str) -> Cost:
        return cost(bench, [PYTHON, "-c", code])

    ours, bare = in_turn(3 * bench.runs, lambda _: run("from core import step, pipeline"), lambda _: run("pass"))
    return [
        figure("import", values(ours), values(bare), "ms CPU", 1000, against="python -c pass", budget=6, moonshot=4.5)
    ]


def hello(bench: Bench) -> list[Figure]:
    """Two steps in a home that exists (each run with a new seed), and in a new home each time."""
    home, files = bench.home(), bench.home()
    sides = in_turn(
        3 * bench.runs,
        lambda number: _core(bench, "hello", home, number),
        lambda number: _ref(bench, "hello", files, number),
        lambda number: _core(bench, "hello", emptied(bench.folder / "new"), number),
        lambda number: _floor(bench, "hello", files, number),
    )
    ours, ref, new, floor = map(values, sides)
    return [
        figure("hello", ours, ref, "ms CPU", 1000, against="ref", budget=4, moonshot=2.2),
        figure("hello in a new home", new, ref, "ms CPU", 1000, against="ref", budget=4, moonshot=2.2),
        figure("hello to floor", ours, floor, "ms CPU", 1000, against="floor"),
    ]


def chain(bench: Bench) -> list[Figure]:
    """A chain of 100."""
    home, files = bench.home(), bench.home()
    sides = in_turn(
        2 * bench.runs,
        lambda number: _core(bench, "chain", home, number),
        lambda number: _ref(bench, "chain", files, number),
        lambda number: _floor(bench, "chain", files, number),
    )
    ours, ref, floor = map(values, sides)
    return [
        figure("chain of 100", ours, ref, "ms CPU", 1000, against="ref", budget=4, moonshot=2.2),
        figure("chain of 100 to floor", ours, floor, "ms CPU", 1000, against="floor"),
    ]


def cached(bench: Bench) -> list[Figure]:
    """The chain of 100 again with the same seed: every step is reused."""
    home, files = bench.home(), bench.home()
    _core(bench, "chain", home, 1)
    _floor(bench, "chain", files, 1)
    ours, floor = in_turn(
        2 * bench.runs, lambda _: _core(bench, "chain", home, 1), lambda _: _floor(bench, "chain", files, 1)
    )
    return [figure("100 cached steps", values(ours), values(floor), "ms CPU", 1000, against="floor, cached")]


def job(bench: Bench) -> list[Figure]:
    """What runs in a container, beginning to end, for a step that does nothing in a module that imports NumPy."""
    start = jobs(bench, 2 * bench.runs, 0)
    where = f"import sys; sys.path.insert(0, {str(WORK)!r})"
    ours, bare = in_turn(
        2 * bench.runs,
        lambda number: cost(bench, [PYTHON, "-c", start(number)]),
        lambda _: cost(bench, [PYTHON, "-c", f"{where}; import job"]),
    )
    against = "Python and the user's imports"
    return [figure("a step as a job", values(ours), values(bare), "ms CPU", 1000, against=against, budget=1.5)]


def jobs(bench: Bench, runs: int, megabytes: int) -> Callable[[int], str]:
    """Gives the Python code of the n-th of `runs` jobs, from 0, whose step prints `megabytes`; each can run once."""
    bundles = bench.home()
    cost(bench, [PYTHON, WORK / "job.py", bundles, runs + 1, megabytes], home=bench.home())
    return lambda number: f"import os; os.environ['CORE_BUNDLE'] = {str(bundles / str(number))!r}; {START}"


def _core(bench: Bench, work: str, home: Path, number: int) -> Cost:
    return cost(bench, [PYTHON, WORK / f"{work}.py", number * APART], home=home)


def _ref(bench: Bench, work: str, folder: Path, number: int) -> Cost:
    return cost(bench, [PYTHON, REFERENCES / "ref.py", work, folder, number * APART])


def _floor(bench: Bench, work: str, folder: Path, number: int) -> Cost:
    return cost(bench, [PYTHON, REFERENCES / "floor.py", work, folder, number * APART])
