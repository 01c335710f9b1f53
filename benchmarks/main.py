"""The command: choose rows, run them, print the table, write the JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from traceback import format_exc
from typing import TYPE_CHECKING

from benchmarks.harness import HERE, Bench, BenchmarkError, Figure
from benchmarks.rows import ROWS
from benchmarks.table import machine, table, to_data, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when every budget is met, 1 when one is missed or a row failed."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"rows to run: {', '.join(ROWS)}; all by default")
    parser.add_argument("--runs", type=int, default=7, help="runs of each side (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and 3 runs; not for quoting")
    parser.add_argument("--json", type=Path, default=HERE / "results.json", help="where to write the results")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]!r}; rows are {', '.join(ROWS)}")
    sys.stdout.write(f"{machine()}\n")
    figures: list[Figure] = []
    failed = False
    for name in chosen.names or ROWS:
        began = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory(prefix=f"core-bench-{name}-") as folder:
                found = ROWS[name](
                    Bench(min(chosen.runs, 3) if chosen.quick else chosen.runs, chosen.quick, Path(folder))
                )
        except Exception as error:  # noqa: BLE001 - what a row breaks on must not cost the figures of the others
            failed = True
            sys.stderr.write(f"{name}: failed: {error if isinstance(error, BenchmarkError) else format_exc()}\n")
            continue
        figures += found
        said = (f"{figure.name} {verdict(figure)}" for figure in found)
        sys.stderr.write(f"{name}: {time.perf_counter() - began:.0f} s: {'; '.join(said)}\n")
        chosen.json.write_text(json.dumps([to_data(figure) for figure in figures], indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(table(figures))
    sys.stdout.write(f"{chosen.json}, load average {os.getloadavg()[0]:.1f}, {platform.node()}\n")
    return int(failed or any(figure.holds(figure.budget) is False for figure in figures))
