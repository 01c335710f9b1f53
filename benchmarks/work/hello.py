"""Two steps, recorded: `hello.py SEED`. Another seed reuses nothing."""

import sys

from core import pipeline, step


@step
def number(seed: int) -> int:
    return seed


@step
def double(x: int) -> int:
    return x * 2


@pipeline
def hello(seed: int):
    return double(number(seed))


if __name__ == "__main__":
    hello(int(sys.argv[1]))
