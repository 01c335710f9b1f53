"""The command line's start: against the import of the usual toolkit, and with many runs against few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import PYTHON, WORK, Bench, Cost, Figure, core_command, cost, figure, in_turn, values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def command(bench: Bench) -> list[Figure]:
    """`core --help`, `core stack list` and `core runs list` with 1,000 runs."""
    return _against_toolkit(bench, _filled(bench, 1000), ("--help", "stack list", "runs list"))


def catalog(bench: Bench) -> list[Figure]:
    """The other listings, with 50 stacks, components, connectors and secrets."""
    home = bench.home()
    cost(bench, [PYTHON, WORK / "fill_catalog.py", 50], home=home)
    nouns = ("artifact-store", "service-connector", "secret", "integration")
    return _against_toolkit(bench, home, [f"{noun} list" for noun in nouns])


def _against_toolkit(bench: Bench, home: Path, words: Sequence[str]) -> list[Figure]:
    sides = in_turn(
        2 * bench.runs,
        lambda _: cost(bench, [PYTHON, "-c", "import typer, rich"]),
        *[lambda _, said=said: _core(bench, home, said) for said in words],
    )
    toolkit = values(sides[0])
    against = {"against": "import typer, rich", "budget": 2, "moonshot": 1}
    return [
        figure(f"core {said}", values(ours), toolkit, "ms CPU", 1000, **against)
        for said, ours in zip(words, sides[1:], strict=True)
    ]


def listing(bench: Bench) -> list[Figure]:
    """`core runs list` (the newest 50) with 100,000 runs against 1,000."""
    many = bench.size(100_000, 10_000)
    small, large = _filled(bench, 1000), _filled(bench, many)
    ours, theirs = in_turn(
        2 * bench.runs, lambda _: _core(bench, large, "runs list"), lambda _: _core(bench, small, "runs list")
    )
    name = f"core runs list of {many:,}"
    return [figure(name, values(ours), values(theirs), "ms CPU", 1000, against="of 1,000", budget=1.5, moonshot=1.1)]


def _core(bench: Bench, home: Path, said: str) -> Cost:
    return cost(bench, [*core_command(), *said.split()], home=home)


def _filled(bench: Bench, count: int) -> Path:
    home = bench.home()
    cost(bench, [PYTHON, WORK / "fill.py", count], home=home)
    return home
