"""What runs with a store that is far away ask of it: requests a step, and bringing runs of others into a home."""

from __future__ import annotations

from benchmarks.harness import PYTHON, WORK, Bench, Figure, cost, figure

APART = ("leases", "looks", "log chunks", "credentials tried")
"""Purposes that are told apart: they come with time, or with what is printed, and not with steps."""


def requests(bench: Bench) -> list[Figure]:
    """HTTP requests a step, S3 store and journal on: steps that take no time, long ones, and reused ones."""
    return [
        *_asked(bench, "", bench.size(50, 10), 0.0, 6),
        *_asked(bench, " of 2.5 s", 4, 2.5, 6)[:1],
        *_asked(bench, " as a job", 4, 0.0, None, "jobs")[:1],
    ]


def _asked(bench: Bench, what: str, count: int, seconds: float, budget: float | None, *words: str) -> list[Figure]:
    executed, reused = cost(
        bench, [PYTHON, WORK / "bucket.py", count, seconds, *words], home=bench.home(), report=True
    ).said
    return [
        Figure(
            f"requests a {name}{what}", sum(n for why, n in found.items() if why not in APART) / count, "",
            measure="value", budget=limit, note=f"{count} steps: " + ", ".join(f"{n} {why}" for why, n in found.items()),
        )
        for name, found, limit in (("step", executed, budget), ("reused step", reused, 3))
    ]  # fmt: skip


def synced(bench: Bench) -> list[Figure]:
    """`core runs sync` of 1,000 runs into an empty home, and once more; an object each, five steps in it."""
    count = bench.size(1000, 100)
    said = cost(bench, [PYTHON, WORK / "sync.py", count], home=bench.home(), report=True).said
    (plain, _, _), (wall, cpu, asked), (again, _, few) = said["plain"], said["first"], said["second"]
    name = f"sync of {count:,} runs"
    note = f"{cpu:.1f} s CPU, {asked:,} requests"
    return [
        figure(name, [wall], [plain], "s wall", against="s3fs find and cat", budget=1.3, note=note),
        figure(f"{name}: nothing new", [again], [said["listing"][0]], "s wall", against="s3fs find", budget=1.5),
        Figure(f"{name}: nothing new, requests", few, "", measure="value", budget=1 + count // 500),
    ]
