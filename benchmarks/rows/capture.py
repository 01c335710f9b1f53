"""A step that prints a gigabyte: the log that core keeps, against a script whose output goes to a file."""

from __future__ import annotations

from shutil import rmtree
from statistics import median

from benchmarks.harness import PYTHON, REFERENCES, WORK, Bench, Cost, Figure, cost, figure, in_turn, values
from benchmarks.rows.startup import jobs


def capture(bench: Bench) -> list[Figure]:
    """CPU time and peak memory. Each side writes one file: the script its redirected output, core its log."""
    mine, plain, extra, name = _compared(bench, workers=0)
    return [
        figure(name, values(mine), values(plain), "s CPU", against="script > file", budget=1.3, moonshot=1.1),
        Figure(f"{name}: memory", extra, "MB more", measure="value", budget=50),
    ]


def printed(bench: Bench) -> list[Figure]:
    """The same in a worker, whose output goes through a pipe: two processes beside each other, so wall time counts, too."""
    mine, plain, extra, name = _compared(bench, workers=2)
    name += " in a worker"
    ours, theirs = (values(side, lambda cost: cost.wall) for side in (mine, plain))
    return [
        figure(name, ours, theirs, "s wall", against="script > file", budget=1.3, moonshot=1.1),
        figure(f"{name}: CPU", values(mine), values(plain), "s CPU", against="script > file"),
        Figure(f"{name}: memory", extra, "MB more", measure="value", budget=50),
    ]


def pumped(bench: Bench) -> list[Figure]:
    """The same in a job: most of it is left out before an engine, which is slow, would have to keep it."""
    megabytes, runs = bench.size(1000, 50), bench.runs
    start, target, empty = jobs(bench, runs, megabytes), str(bench.folder / "printed"), jobs(bench, runs, 0)
    mine, plain, silent = in_turn(
        runs,
        lambda number: cost(bench, [PYTHON, "-c", start(number)], stdout=target),
        lambda _: cost(bench, [PYTHON, REFERENCES / "ref.py", "print", megabytes, 0], stdout=target),
        lambda number: cost(bench, [PYTHON, "-c", empty(number)], stdout=target),
    )
    wall = [[each.wall for each in side] for side in (mine, plain, silent)]
    steps = [whole - start_up for whole, start_up in zip(wall[0], wall[2], strict=True)]
    extra = median(a.memory - b.memory for a, b in zip(mine, silent, strict=True))
    name = f"{megabytes} MB printed by a job"
    return [
        figure(name, steps, wall[1], "s wall", against="script > file", budget=1.05),
        Figure(f"{name}: memory", extra, "MB more", measure="value", budget=50),
    ]


def _compared(bench: Bench, workers: int) -> tuple[list[Cost], list[Cost], float, str]:
    """Costs of core and of the script, MB that core takes more, and what was printed."""
    megabytes = bench.size(1000, 50)
    home = bench.home()
    target = bench.folder / "printed"

    def ours(number: int) -> Cost:
        target.unlink(missing_ok=True)
        rmtree(home / "logs", ignore_errors=True)
        command = [PYTHON, WORK / "printing.py", megabytes, number]
        return cost(bench, command, home=home, stdout="/dev/null", workers=workers)

    def script(_: int) -> Cost:
        target.unlink(missing_ok=True)
        return cost(bench, [PYTHON, REFERENCES / "ref.py", "print", megabytes, 0], stdout=str(target))

    mine, plain = in_turn(bench.runs, ours, script)
    extra = median(a.memory - b.memory for a, b in zip(mine, plain, strict=True))
    return mine, plain, extra, f"{megabytes} MB printed"
