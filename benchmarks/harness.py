"""How anything is measured here: what a process tree cost, A and B in turn, medians, and figures beside their budgets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.tree import peak_of_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).resolve().parent
PYTHON = sys.executable
WORK = HERE / "work"
REFERENCES = HERE / "references"


class BenchmarkError(Exception):
    """A command under measurement failed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process and all that it started took."""

    cpu: float
    """Seconds, user and system."""
    wall: float
    """Seconds."""
    memory: float
    """Peak resident memory of the largest process, MB (10**6 bytes)."""
    said: Any
    """What it printed, as JSON, when it was asked to report."""
    tree: float = 0
    """Peak memory of all its processes together, MB, where it was asked for: see `benchmarks.tree`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    name: str
    value: float
    unit: str
    reference: float | None = None
    """The reference's value, in the same unit, measured in turn with ours."""
    against: str = ""
    """What the reference is."""
    ratio: float | None = None
    """Ours to the reference: the median of the ratios of neighbouring runs."""
    budget: float | None = None
    moonshot: float | None = None
    measure: str = "ratio"
    """What the budget limits: `ratio` or `value`."""
    more_is_better: bool = False
    note: str = ""

    @property
    def measured(self) -> float | None:
        """The number that the budget limits."""
        return self.value if self.measure == "value" else self.ratio

    def holds(self, limit: float | None) -> bool | None:
        """Whether the figure is within `limit`; None when there is nothing to compare."""
        if limit is None or self.measured is None:
            return None
        return self.measured >= limit if self.more_is_better else self.measured <= limit


@dataclass(frozen=True, slots=True)
class Bench:
    """What every row works with."""

    runs: int
    """Runs of each side of a comparison."""
    quick: bool
    """Smaller sizes: for trying the harness, not for quoting."""
    folder: Path
    """An empty folder of this benchmark's own, on the disk that `TMPDIR` names."""

    def home(self) -> Path:
        """A new folder for `CORE_HOME`, or for a reference's files."""
        return Path(tempfile.mkdtemp(prefix="home-", dir=self.folder))

    def size(self, full: int, quick: int) -> int:
        """How much to do."""
        return quick if self.quick else full


def environment(home: Path | None = None, workers: int = 0) -> dict[str, str]:
    """This process's environment without anything that would change how core or Python behave.

    Only rows that ask for `workers` have them: all others measure what a run does by itself.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CORE_", "PYTHON", "COVERAGE"))}
    kept |= {"CORE_HOME": str(home)} if home is not None else {}
    return kept | ({"CORE_WORKERS": str(workers)} if workers else {})


def cost(
    bench: Bench,
    command: Sequence[object],
    *,
    home: Path | None = None,
    stdout: str = "",
    report: bool = False,
    workers: int = 0,
    tree: bool = False,
) -> Cost:
    """Run `command` to its end in the benchmark's folder; raises `BenchmarkError` with what it said when it fails."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        outcome, out, err = (Path(folder, name) for name in ("outcome", "out", "err"))
        target = stdout or (str(out) if report else os.devnull)
        launcher = [PYTHON, "-I", "-S", HERE / "launch.py", outcome, target, err, *command]
        arguments = [str(part) for part in launcher]
        with subprocess.Popen(arguments, env=environment(home, workers), cwd=bench.folder) as launched:
            together = peak_of_tree(launched) if tree else 0
        if launched.returncode:
            raise BenchmarkError(f"can't start {' '.join(map(str, command))}: exit code {launched.returncode}")
        code, cpu, wall, memory = outcome.read_text().split()
        if code != "0":
            raise BenchmarkError(f"exit code {code}: {' '.join(map(str, command))}\n{err.read_text()[-4000:]}")
        said = json.loads(out.read_text().splitlines()[-1]) if report else None
    return Cost(float(cpu), float(wall), int(memory) * 1024 / 1e6, said, together)


def in_turn(runs: int, *sides: Callable[[int], Cost]) -> list[list[Cost]]:
    """Run every side once to warm caches, then A B A B; each is told the number of the run, from 0 for the warm-up."""
    for side in sides:
        side(0)
    rounds = [[side(number) for side in sides] for number in range(1, runs + 1)]
    return [list(costs) for costs in zip(*rounds, strict=True)]


def values(costs: Sequence[Cost], what: Callable[[Cost], float] = lambda cost: cost.cpu) -> list[float]:
    """One number of each run."""
    return [what(cost) for cost in costs]


def figure(
    name: str, ours: Sequence[float], theirs: Sequence[float], unit: str, scale: float = 1, **budget: Any
) -> Figure:
    """Medians of both sides, and the median of the ratios of neighbours, which other work on the machine moves least."""
    ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
    return Figure(name, median(ours) * scale, unit, median(theirs) * scale, ratio=ratio, **budget)


def emptied(folder: Path) -> Path:
    """`folder`, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def core_command() -> list[str]:
    """The `core` command of this Python's environment."""
    script = Path(PYTHON).with_name("core")
    return [PYTHON, str(script)] if script.exists() else [PYTHON, "-m", "core"]
