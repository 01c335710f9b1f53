"""A step that prints a gigabyte: the log that core keeps, against a script whose output goes to a file."""

from __future__ import annotations

from shutil import rmtree

from benchmarks.harness import PYTHON, REFERENCES, WORK, Bench, Cost, Figure, cost, figure, in_turn, values


def capture(bench: Bench) -> list[Figure]:
    """CPU time and peak memory. Each side writes one file: the script its redirected output, core its log."""
    megabytes = bench.size(1000, 50)
    home = bench.home()
    target = bench.folder / "printed"

    def ours(number: int) -> Cost:
        target.unlink(missing_ok=True)
        rmtree(home / "logs", ignore_errors=True)
        return cost(bench, [PYTHON, WORK / "printing.py", megabytes, number], home=home, stdout="/dev/null")

    def script(_: int) -> Cost:
        target.unlink(missing_ok=True)
        return cost(bench, [PYTHON, REFERENCES / "ref.py", "print", megabytes, 0], stdout=str(target))

    sides = in_turn(bench.runs, ours, script)
    mine, plain = map(values, sides)
    peaks = [values(side, lambda cost: cost.memory) for side in sides]
    extra = [a - b for a, b in zip(*peaks, strict=True)]
    return [
        figure(f"{megabytes} MB printed", mine, plain, "s CPU", against="script > file", budget=1.3, moonshot=1.1),
        Figure(
            f"{megabytes} MB printed: memory", sorted(extra)[len(extra) // 2], "MB more", measure="value", budget=50
        ),
    ]
