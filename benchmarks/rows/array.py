"""200 MB handed from one step to the next: stored, hashed, verified, loaded."""

from __future__ import annotations

from benchmarks.harness import PYTHON, REFERENCES, WORK, Bench, Figure, cost, emptied, figure, in_turn, values


def array(bench: Bench) -> list[Figure]:
    """Wall time against np.save + np.load, in one process in turn; peak memory against the script that pickles."""
    said = cost(bench, [PYTHON, WORK / "handed.py", bench.runs], home=bench.home(), report=True).said
    ours, theirs = zip(*said, strict=True)
    files = bench.home()
    peaks = in_turn(
        bench.runs,
        lambda number: cost(bench, [PYTHON, WORK / "handed_once.py", number], home=emptied(bench.folder / "new")),
        lambda number: cost(bench, [PYTHON, REFERENCES / "ref.py", "array", files, number]),
    )
    mine, script = (values(side, lambda cost: cost.memory) for side in peaks)
    return [
        figure("200 MB handed on", ours, theirs, "ms wall", 1000, against="np.save + np.load", budget=1.5, moonshot=1),
        figure("200 MB: peak memory", mine, script, "MB", against="ref", budget=1.1),
    ]
