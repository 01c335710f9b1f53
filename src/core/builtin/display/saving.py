"""What workers would have saved a run that ran its steps one after another."""

from __future__ import annotations

import os
from heapq import heappop, heappush

from core.text import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.builtin.display.tally import Tally

WORTH = 2.0
"""Seconds to save from which on it is worth a line."""
NOTICEABLE = 0.1
"""Seconds of a step from which on it counts as one that could run beside another."""
LARGEST = 20_000
"""Steps of a graph that is not looked at any more: a thought about a run must not take as long as it."""


def saving(tally: Tally) -> list[str]:
    """A line for a run of which no two steps ran at a time, where the machine could have done better; else nothing."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    steps = _upstreams(tally)
    if cores < 2 or not 1 < len(tally.busy) <= LARGEST or len(steps) > LARGEST:
        return []
    _, width = simulate(steps, tally.busy, len(steps))
    workers = min(width, cores)
    if workers < 2:
        return []
    takes, _ = simulate(steps, tally.busy, workers)
    # Steps whose BLAS or threads have all cores at work by themselves take as long side by side.
    least = (sum(os.times()[:4]) - tally.cpu) / cores
    saved = sum(tally.busy.values()) - max(takes, least)
    if saved <= WORTH:
        return []
    about = f"{saved:.0f} s" if saved < 60 else duration(saved)
    option = f"--workers {workers} (or CORE_WORKERS={workers})"
    return [f"  {width} steps could have run side by side: {option} would have saved about {about}"]


def simulate(steps: Mapping[str, Sequence[str]], busy: Mapping[str, float], workers: int) -> tuple[float, int]:
    """Seconds that the steps take with so many workers, and how many of those that matter ran at a time at most.

    `steps` has what each waits for, in the order in which they are taken; those that are not `busy` take no time.
    """
    order = {name: place for place, name in enumerate(steps)}
    after: dict[str, list[str]] = {}
    waits = dict.fromkeys(steps, 0)
    for name, upstream in steps.items():
        for before in upstream:
            after.setdefault(before, []).append(name)
            waits[name] += 1
    ready = [place for name, place in order.items() if not waits[name]]
    names = list(steps)
    running: list[tuple[float, int]] = []
    now, width, matter = 0.0, 0, 0
    while ready or running:
        while ready and len(running) < workers:
            place = heappop(ready)
            seconds = busy.get(names[place], 0.0)
            matter += seconds >= NOTICEABLE
            heappush(running, (now + seconds, place))
        width = max(width, matter)
        now, place = heappop(running)
        matter -= busy.get(names[place], 0.0) >= NOTICEABLE
        for name in after.get(names[place], ()):
            waits[name] -= 1
            if not waits[name]:
                heappush(ready, order[name])
    return now, width


def _upstreams(tally: Tally) -> dict[str, list[str]]:
    """What each step waited for; a mapped step is two points in time, between which all of its calls run."""
    found: dict[str, list[str]] = {}
    for node in tally.nodes:
        before = list(dict.fromkeys(node.upstream()))
        calls = tally.calls.get(node.id)
        if calls is None:
            found[node.id] = before
            continue
        begin = f"{node.id}[begin]"
        found[begin] = before
        found.update((call, [begin]) for call in calls)
        found[node.id] = calls or [begin]
    return found
