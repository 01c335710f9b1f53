"""core itself, as a peer of the others: `core.py WORK FOLDER SEED`. Tried."""

import sys

work, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]) * 1_000_000

from core import pipeline, step  # noqa: E402 - everything counts


@step
def number(seed: int) -> int:
    return seed


@step
def double(x: int) -> int:
    return x * 2


@step
def inc(x: int) -> int:
    return x + 1


@pipeline
def hello(seed: int):
    return double(number(seed))


@pipeline
def chain(seed: int, count: int = 100):
    value = seed
    for _ in range(count):
        value = inc(value)
    return value


def array():
    import numpy as np

    @step
    def make(seed: int) -> np.ndarray:
        return np.arange(seed, seed + 25_000_000, dtype=np.float64)

    @step
    def total(values: np.ndarray) -> float:
        return float(values.sum())

    @pipeline
    def handed(seed: int):
        return total(make(seed))

    handed(seed)


if work == "hello":
    hello(seed)
elif work == "chain":
    chain(seed)
elif work == "compile":
    chain.compile({"seed": seed, "count": 5000})
elif work == "array":
    array()
