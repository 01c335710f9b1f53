"""200 MB of float64 made by one step and summed by the next: `array.py RUNS`; seconds to hand it on, and by np.save + np.load.

Handing on is the run's wall time less that of making and summing the array in memory.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from shutil import rmtree

import numpy as np

from core import pipeline, step

ITEMS = 25_000_000
made = 0.0


@step
def make(seed: int) -> np.ndarray:
    global made  # noqa: PLW0603 - tells the measuring code below what the function itself took
    began = time.perf_counter()
    value = np.arange(seed, seed + ITEMS, dtype=np.float64)
    made = time.perf_counter() - began
    return value


@step
def total(values: np.ndarray) -> float:
    return float(values.sum())


@pipeline
def handed(seed: int):
    return total(make(seed))


def by_core(seed):
    began = time.perf_counter()
    handed(seed)
    return time.perf_counter() - began - made


def by_numpy(seed, path):
    value = np.arange(seed, seed + ITEMS, dtype=np.float64)
    began = time.perf_counter()
    np.save(path, value)
    saved = time.perf_counter()
    del value
    loaded_from = time.perf_counter()
    value = np.load(path)
    loaded = time.perf_counter()
    value.sum()
    summed = time.perf_counter() - loaded
    os.remove(path)
    return saved - began + loaded - loaded_from, summed


if __name__ == "__main__":
    home = Path(os.environ["CORE_HOME"])
    found = []
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        for number in range(int(sys.argv[1]) + 1):
            rmtree(home / "artifacts", ignore_errors=True)
            theirs, summed = by_numpy(number, f"{folder}/a.npy")
            ours = by_core(number) - summed
            found += [[ours, theirs]] if number else []
    os.write(1, json.dumps(found).encode() + b"\n")
