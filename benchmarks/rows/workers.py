"""Worker processes: steps side by side, and what one costs in another process, against a plain pool of processes."""

from __future__ import annotations

from benchmarks.harness import PYTHON, REFERENCES, WORK, Bench, Cost, Figure, cost, figure, in_turn, values


def naps(bench: Bench) -> list[Figure]:
    """Eight steps that sleep a second each, eight workers: the whole process."""
    ours, pool = _whole(bench, "naps", workers=8, count=8)
    return [
        figure("8 x 1 s, 8 workers", ours, pool, "s wall", against="pool", measure="value", budget=1.3, moonshot=1.12)
    ]


def fanned(bench: Bench) -> list[Figure]:
    """200 steps of 20 ms of CPU and one that adds them up, on two workers: the whole process."""
    count = bench.size(200, 50)
    ours, pool = _whole(bench, "fanned", workers=2, count=count)
    return [figure(f"{count} x 20 ms, 2 workers", ours, pool, "s wall", against="pool")]


def trips(bench: Bench) -> list[Figure]:
    """Steps that do nothing, through two workers that are started for each run: side by side, and one after another."""
    count = bench.size(2000, 200)
    command = [PYTHON, WORK / "trips.py", bench.runs, count]
    said = cost(bench, command, home=bench.home(), report=True, workers=2).said
    figures = []
    for name, shown in (("wide", f"{count:,} no-op, 2 workers"), ("chain", f"chain of {count:,}, 2 workers")):
        for place, what in enumerate(("wall", "CPU")):
            ours, pool = ([round_[place] for round_ in said[side]] for side in (name, f"pool_{name}"))
            figures.append(figure(f"{shown}: {what} a step", ours, pool, "ms", against="pool"))
    return figures


def handed(bench: Bench) -> list[Figure]:
    """200 MB made in one worker and summed in another: wall, memory of the one that sums, memory of all together."""
    command = [PYTHON, WORK / "handed_worker.py", bench.runs]
    said = cost(bench, command, home=bench.home(), report=True, workers=2).said
    ours, theirs = zip(*said, strict=True)
    home, files = bench.home(), bench.home()
    peaks = in_turn(
        min(bench.runs, 3),
        lambda number: cost(bench, [PYTHON, WORK / "handed_worker_once.py", number], home=home, workers=2, tree=True),
        lambda number: cost(bench, [*_pool("array", files), 2, number, 25_000_000], tree=True),
    )
    mine, pool = (values(side, lambda cost: cost.tree) for side in peaks)
    seconds, copied = (list(zip(*side, strict=True)) for side in (ours, theirs))
    return [
        figure("200 MB to a worker", seconds[0], copied[0], "ms wall", 1000, against="np.save + np.load", budget=1.5, moonshot=1),
        figure("200 MB to a worker: own memory there", seconds[1], copied[1], "MB", against="np.load"),
        figure("200 MB to a worker: all processes", mine, pool, "MB", against="pool, np.load", budget=1.1),
    ]  # fmt: skip


def _whole(bench: Bench, work: str, *, workers: int, count: int) -> list[list[float]]:
    """Wall time of whole processes, core's and the pool's."""
    home, files = bench.home(), bench.home()

    def ours(number: int) -> Cost:
        return cost(bench, [PYTHON, WORK / f"{work}.py", number * 1_000_000, count], home=home, workers=workers)

    def pool(number: int) -> Cost:
        return cost(bench, [*_pool(work, files), workers, number * 1_000_000, count])

    return [values(side, lambda cost: cost.wall) for side in in_turn(bench.runs, ours, pool)]


def _pool(work: str, files: object) -> list[object]:
    return [PYTHON, REFERENCES / "pool.py", work, files]
