"""200 MB of float64 made in one worker and summed in another: `handed_worker.py RUNS`; seconds to hand it on, and by numpy.

As `handed.py`, in processes: np.save in one, np.load in another. Also the MB of memory of its own that the process has
that sums: a copy would be 200. Prints JSON.
"""

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from shutil import rmtree

import numpy as np

from core import log_metadata, pipeline, step

ITEMS = 25_000_000


def own_memory():
    """MB that no other process shares."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("Anonymous:",))) * 1024 / 1e6


@step
def make(seed: int) -> np.ndarray:
    began = time.perf_counter()
    value = np.arange(seed, seed + ITEMS, dtype=np.float64)
    log_metadata(seconds=time.perf_counter() - began)
    return value


@step
def total(values: np.ndarray) -> float:
    began = time.perf_counter()
    found, memory = float(values.sum()), own_memory()
    log_metadata(seconds=time.perf_counter() - began, memory=memory)
    return found


@pipeline
def handed(seed: int):
    return total(make(seed))


def by_core(seed):
    """Seconds from the run's start to its end, less those of making and summing; memory."""
    began = time.perf_counter()
    run = handed(seed)
    took = time.perf_counter() - began
    told = {name: run.steps[name].metadata for name in ("make", "total")}
    return took - sum(metadata["seconds"] for metadata in told.values()), told["total"]["memory"]


def made(seed, path):
    value = np.arange(seed, seed + ITEMS, dtype=np.float64)
    began = time.perf_counter()
    np.save(path, value)
    return time.perf_counter() - began


def summed(path):
    began = time.perf_counter()
    value = np.load(path)
    loaded = time.perf_counter() - began
    value.sum()
    return loaded, own_memory()


def by_numpy(seed, path):
    with ProcessPoolExecutor(1) as pool:
        saved = pool.submit(made, seed, path).result()
    with ProcessPoolExecutor(1) as pool:
        loaded, memory = pool.submit(summed, path).result()
    os.remove(path)
    return saved + loaded, memory


if __name__ == "__main__":
    home = Path(os.environ["CORE_HOME"])
    found = []
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        for number in range(int(sys.argv[1]) + 1):
            rmtree(home / "artifacts", ignore_errors=True)
            theirs = by_numpy(number, f"{folder}/a.npy")
            ours = by_core(number)
            found += [[ours, theirs]] if number else []
    sys.stdout.flush()
    os.write(1, json.dumps(found).encode() + b"\n")
