"""What workers give and cost, kind by kind of step: `python benchmarks/side.py [KIND...] [--runs 5]`; for decision 0007.

`1` is one process: the default. Kinds: `nap` (8 that wait for a second), `forest` (4 random forests, one core each),
`matrix` (4 products of matrices, which use all cores by themselves), `short` (1,000 that do nothing), `chained` (100 in a
row). Needs scikit-learn. Whole processes; peak memory is of the whole tree, from a run of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.harness import PYTHON, WORK, Bench, Cost, cost, in_turn  # noqa: E402
from benchmarks.table import columns, machine  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = {"nap": (1, 2, 4, 8), "forest": (1, 2, 4), "matrix": (1, 2, 4), "short": (1, 2, 4), "chained": (1, 2, 4)}
HEAD = ("steps", "workers", "wall s", "of 1", "CPU s", "peak MB")


def main(arguments: Sequence[str] | None = None) -> int:
    """Every number of workers in turn, then again: what else the machine does falls on all alike."""
    parser = argparse.ArgumentParser(prog="side", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS], help="all by default")
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args(arguments)
    sys.stdout.write(f"{machine()}\n")
    rows: list[tuple[str, ...]] = [HEAD]
    with tempfile.TemporaryDirectory(prefix="core-side-") as folder:
        bench = Bench(chosen.runs, quick=False, folder=Path(folder))
        for kind in chosen.kinds or KINDS:
            rows += _measured(bench, kind)
            sys.stderr.write(f"{kind}\n")
    sys.stdout.write(f"{columns(rows, left={0})}{machine()}\n")
    return 0


def _measured(bench: Bench, kind: str) -> list[tuple[str, ...]]:
    homes = {workers: bench.home() for workers in KINDS[kind]}

    def once(workers: int, number: int, *, tree: bool = False) -> Cost:
        command = [PYTHON, WORK / "side.py", kind, number * 1_000_000]
        return cost(bench, command, home=homes[workers], workers=workers, tree=tree)

    sides = in_turn(bench.runs, *(lambda number, workers=workers: once(workers, number) for workers in homes))
    one = [cost.wall for cost in sides[0]]
    rows = []
    for workers, side in zip(homes, sides, strict=True):
        wall = [cost.wall for cost in side]
        ratio = median(a / b for a, b in zip(wall, one, strict=True))
        peak = once(workers, bench.runs + 1, tree=True).tree
        numbers = (median(wall), ratio, median(cost.cpu for cost in side))
        rows.append((kind, str(workers), *(f"{number:.2f}" for number in numbers), f"{peak:.0f}"))
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
