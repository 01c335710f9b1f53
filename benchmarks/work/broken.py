"""A chain of COUNT steps; from step DONE on it fails as long as the file FIXED is missing: `broken.py COUNT DONE FIXED`."""

import os
import sys

from core import pipeline, step


@step
def inc(x: int, fixed: str = "") -> int:
    if fixed and not os.path.exists(fixed):
        raise RuntimeError("not yet")
    return x + 1


@pipeline
def broken(count: int, done: int, fixed: str):
    value = 0
    for number in range(count):
        value = inc(value) if number < done else inc(value, fixed)
    return value


if __name__ == "__main__":
    broken(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
