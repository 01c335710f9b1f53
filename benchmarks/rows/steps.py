"""What steps cost inside a process that runs: overhead a step, reuse, compiling, many idle steps, many side by side."""

from __future__ import annotations

from statistics import median

from benchmarks.harness import PYTHON, WORK, Bench, Figure, cost, figure


def step(bench: Bench) -> list[Figure]:
    """Overhead a step and a reused step: a chain, less what the bare calls take; the reference does the same work."""
    count = bench.size(1000, 200)
    said = cost(bench, [PYTHON, WORK / "steps.py", bench.runs, count], home=bench.home(), report=True).said
    plain = median(said["plain"])
    net = {name: [value - plain for value in took] for name, took in said.items()}
    note = f"ms a step, CPU, chain of {count} in process; ref takes {median(net['ref']):.3f}"
    return [
        figure(
            *("overhead a step", net["core"], net["floor"], "ms CPU"),
            against="floor", measure="value", budget=0.5, moonshot=0.15, note=note,
        ),
        figure(
            *("overhead a reused step", net["reused"], net["floor_reused"], "ms CPU"),
            against="floor, cached", measure="value", budget=0.2, moonshot=0.06,
        ),
    ]  # fmt: skip


def compiled(bench: Bench) -> list[Figure]:
    """Compile 10,000 calls, and ten times as many, each in a fresh process."""
    small, large = bench.size(10_000, 1000), bench.size(100_000, 10_000)
    home = bench.home()

    def compiling(count: int) -> dict[str, float]:
        said: dict[str, float] = cost(bench, [PYTHON, WORK / "compiling.py", count], home=home, report=True).said
        return said

    compiling(10)
    pairs = [(compiling(small), compiling(large)) for _ in range(bench.runs)]
    seconds, tens = [a["cpu"] for a, _ in pairs], [b["cpu"] for _, b in pairs]
    digest = median(a["digest"] for a, _ in pairs)
    return [
        Figure(
            *(f"compile {small:,}", median(seconds), "s CPU"), measure="value", budget=0.5, moonshot=0.1,
            note=f"the graph's digest, taken when it is recorded, adds {digest:.3f} s",
        ),
        Figure(f"compile {small:,}: memory", median(a["mb"] for a, _ in pairs), "MB", measure="value", budget=40),
        figure(f"compile {large:,}", tens, seconds, "s CPU", against=f"compile {small:,}", budget=12),
    ]  # fmt: skip


def noop(bench: Bench) -> list[Figure]:
    """Plan and run 1,000 steps that do nothing."""
    count = bench.size(1000, 100)
    said = cost(bench, [PYTHON, WORK / "noop.py", bench.runs, count], home=bench.home(), report=True).said
    return [Figure(f"plan and run {count:,} no-op", median(said), "s CPU", measure="value", budget=1, moonshot=0.2)]


def wide(bench: Bench) -> list[Figure]:
    """5,000 steps side by side, then one that takes them all."""
    count = bench.size(5000, 500)
    said = cost(bench, [PYTHON, WORK / "wide.py", bench.runs, count], home=bench.home(), report=True).said
    return [Figure(f"{count:,} wide and a reduce", median(said), "s CPU", measure="value", budget=5, moonshot=1)]
