"""The same work by other tools: `CORE_BENCH_PEERS=FOLDER python benchmarks/peers.py [PEER...] [--runs 7]`.

FOLDER holds virtual environments named after the tools: `doit`, `kedro`, `hamilton`, `redun`, `metaflow`, `dagster`,
`prefect`, `zenml`, each with the tool and numpy in it. Those that are missing are passed over. `core` is this Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.harness import HERE, PYTHON, REFERENCES, Bench, BenchmarkError, Cost, cost, emptied  # noqa: E402
from benchmarks.table import columns, machine  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

PEERS = ("doit", "kedro", "hamilton", "redun", "metaflow", "dagster", "prefect", "zenml")
WORKS = ("import", "hello", "chain", "cached", "compile", "array")
CAN_NOT = 3
"""Exit code of a peer's script that has no such thing."""
HEAD = ("who", "work", "CPU s", "wall s", "peak MB")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every work of every peer found, each in a new folder but `cached`, which runs in that of the run before it."""
    parser = argparse.ArgumentParser(prog="peers", description=__doc__)
    parser.add_argument(
        "peers", nargs="*", choices=[[], *PEERS, "core", "ref", "floor"], help="all that are found by default"
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--work", action="append", choices=WORKS, help="only this work; may be given again")
    parser.add_argument("--json", type=Path, default=HERE / "peers.json")
    chosen = parser.parse_args(arguments)
    known = _found()
    names = chosen.peers or list(known)
    sys.stdout.write(f"{machine()}\n")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="core-peers-") as folder:
        bench = Bench(chosen.runs, quick=False, folder=Path(folder))
        for work in chosen.work or WORKS:
            found = _measured(bench, {name: known[name] for name in names if name in known}, work)
            cells = [tuple(_text(value) for value in row.values()) for row in found]
            sys.stdout.write(columns([HEAD, *cells], left={0, 1}) + "\n")  # at once: all of it takes half an hour
            sys.stdout.flush()
            rows += found
    for name in names:
        if name not in known:
            sys.stderr.write(f"{name}: no virtual environment in CORE_BENCH_PEERS\n")
    chosen.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def _found() -> dict[str, list[str]]:
    """The command of each that can be run, without the work and its arguments."""
    known = {name: [PYTHON, str(REFERENCES / f"{name}.py")] for name in ("ref", "floor")}
    known["core"] = [PYTHON, "-P", str(HERE / "peers" / "core.py")]
    folder = os.environ.get("CORE_BENCH_PEERS", "")
    for name in PEERS if folder else ():
        python = Path(folder, name, "bin", "python")
        if python.exists():
            # -P: the script's own folder must not stand in for the library of the same name.
            known[name] = [str(python), "-P", str(HERE / "peers" / f"{name}.py")]
    return known


def _measured(bench: Bench, known: dict[str, list[str]], work: str) -> list[dict[str, object]]:
    """Every peer in turn, then every peer again: what else the machine does falls on all of them alike."""
    found: dict[str, list[Cost]] = {name: [] for name in known}
    for number in range(bench.runs + 1):
        for name in list(found):
            try:
                spent = _once(bench, name, known[name], work, number)
            except (BenchmarkError, subprocess.CalledProcessError) as error:
                if f"exit code {CAN_NOT}:" not in str(error):
                    sys.stderr.write(f"{name} {work}: failed: {error}\n")
                del found[name]
                continue
            found[name] += [spent] if number else []
        sys.stderr.write(f"{work}: {number} of {bench.runs}\n")
    kinds = ("cpu", "wall", "memory")
    return [
        {"who": name, "work": work} | {kind: median(getattr(spent, kind) for spent in costs) for kind in kinds}
        for name, costs in found.items()
    ]


def _once(bench: Bench, name: str, command: list[str], work: str, number: int) -> Cost:
    if name in {"ref", "floor"} and work not in _REFERENCE[name]:
        raise BenchmarkError(f"exit code {CAN_NOT}: {name} does not {work}")
    home = bench.folder / name
    if work == "cached" and number == 0:
        cost(bench, [*command, "chain", emptied(home), 1], home=home)
    elif work != "cached":
        emptied(home)
    did = "chain" if work == "cached" else work
    return cost(bench, [*command, did, home, 1 if work == "cached" else number], home=home)


_REFERENCE = {"ref": {"hello", "chain", "array"}, "floor": {"hello", "chain", "cached"}}


def _text(value: object) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float) and value < 1000
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )


if __name__ == "__main__":
    raise SystemExit(main())
