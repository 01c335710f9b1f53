"""COUNT steps side by side that take 20 ms of CPU each, then one that adds them up: `fanned.py SEED COUNT`."""

import sys
import time

from core import pipeline, step


@step
def burn(seed: int) -> int:
    until = time.process_time() + 0.02
    while time.process_time() < until:
        pass
    return seed


@step
def total(values: list[int]) -> int:
    return sum(values)


@pipeline
def fanned(seed: int, count: int):
    return total(burn.map(range(seed, seed + count)))


if __name__ == "__main__":
    fanned(*map(int, sys.argv[1:]))
