"""COUNT steps side by side that sleep a second each: `naps.py SEED COUNT`."""

import sys
import time

from core import pipeline, step


@step
def nap(seed: int) -> int:
    time.sleep(1)
    return seed


@pipeline
def naps(seed: int, count: int):
    nap.map(range(seed, seed + count))


if __name__ == "__main__":
    naps(*map(int, sys.argv[1:]))
