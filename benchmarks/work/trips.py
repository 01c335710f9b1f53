"""Milliseconds a step of steps that do nothing in 2 workers, core and a pool of processes in turn: `trips.py RUNS COUNT`.

`wide` have nothing to wait for; in `chain` each waits for the one before it. Wall time, and CPU of all processes.
Without CORE_WORKERS core's side is in this process; what it says of the pool is then the same again. Prints JSON.
"""

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from chain import chain
from noop import idle

sys.path.append(str(Path(__file__).resolve().parent.parent / "references"))

from pool import inc, keep, nothing

runs, count = map(int, sys.argv[1:])


def took(work, *args):
    """Milliseconds a step: wall and CPU, that of children included that have ended."""
    before, began = sum(os.times()[:4]), time.perf_counter()
    work(*args)
    return [(time.perf_counter() - began) * 1000 / count, (sum(os.times()[:4]) - before) * 1000 / count]


def pool_wide(folder, seed):
    with ProcessPoolExecutor(2) as pool:
        futures = [pool.submit(keep, nothing, folder, f"n{i}", seed + i) for i in range(count)]
        for future in futures:
            future.result()


def pool_chain(folder, seed):
    with ProcessPoolExecutor(2) as pool:
        for number in range(count):
            pool.submit(keep, inc, folder, f"c{number}", seed + number).result()


found = {"wide": [], "pool_wide": [], "chain": [], "pool_chain": []}
with tempfile.TemporaryDirectory() as folder:
    idle(0, 10)
    for number in range(runs + 1):
        seed = number * 10_000_000
        seen = {
            "wide": took(idle, seed, count),
            "pool_wide": took(pool_wide, folder, seed),
            "chain": took(chain, seed + 5_000_000, count),
            "pool_chain": took(pool_chain, folder, seed),
        }
        for name, value in seen.items():
            found[name] += [value] if number else []
sys.stdout.flush()
os.write(1, json.dumps(found).encode() + b"\n")
