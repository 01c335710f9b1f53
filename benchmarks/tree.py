"""The memory of a process and all that descends from it, together: the kernel keeps a peak of each alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

PAUSE = 0.01
"""Seconds between two looks. Looking takes time from what is looked at: memory and time are measured in runs apart."""


def peak_of_tree(process: subprocess.Popen[bytes]) -> float:
    """MB (10**6 bytes) at most while `process` lives, its own not counted; a page that several share counts once."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_proportional, _below(process.pid))))
        time.sleep(PAUSE)
    return peak * 1024 / 1e6


def _below(pid: int) -> list[int]:
    """All that descends from `pid`."""
    found = []
    for thread in _lines(f"/proc/{pid}/task/{pid}/children"):
        for child in map(int, thread.split()):
            found += [child, *_below(child)]
    return found


def _proportional(pid: int) -> int:
    """Kilobytes: its own pages, and its share of those that others have, too."""
    return sum(int(line.split()[1]) for line in _lines(f"/proc/{pid}/smaps_rollup") if line.startswith("Pss:"))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().splitlines()
    except OSError:
        return []  # it has just ended
