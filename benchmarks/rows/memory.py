"""Resident memory of hello against a bare Python's."""

from __future__ import annotations

from benchmarks.harness import PYTHON, WORK, Bench, Figure, cost, figure, in_turn, values


def memory(bench: Bench) -> list[Figure]:
    """Peak resident memory of the whole process."""
    home = bench.home()
    sides = in_turn(
        bench.runs,
        lambda number: cost(bench, [PYTHON, WORK / "hello.py", number], home=home),
        lambda _: cost(bench, [PYTHON, "-c", "pass"]),
    )
    ours, bare = (values(side, lambda cost: cost.memory) for side in sides)
    return [figure("resident memory of hello", ours, bare, "MB", against="python -c pass", budget=2.5, moonshot=2)]
