"""COUNT steps side by side and one that takes them all: `wide.py RUNS COUNT`; CPU seconds."""

import json
import os
import sys
import time

from core import pipeline, step


@step
def inc(x: int) -> int:
    return x + 1


@step
def total(values: list[int]) -> int:
    return sum(values)


@pipeline
def wide(seed: int, count: int):
    return total(inc.map(range(seed, seed + count)))


runs, count = map(int, sys.argv[1:])
wide(0, 10)
seconds = []
for number in range(1, runs + 1):
    began = time.process_time()
    wide(number * 10_000_000, count)
    seconds.append(time.process_time() - began)
os.write(1, json.dumps(seconds).encode() + b"\n")
