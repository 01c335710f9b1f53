"""A chain of steps, each of which takes what the one before it gave: `chain.py SEED [COUNT]`."""

import sys

from core import pipeline, step


@step
def inc(x: int) -> int:
    return x + 1


@pipeline
def chain(seed: int, count: int = 100):
    value = seed
    for _ in range(count):
        value = inc(value)
    return value


if __name__ == "__main__":
    chain(int(sys.argv[1]), *map(int, sys.argv[2:]))
