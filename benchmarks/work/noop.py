"""Plan and run COUNT steps that do nothing and share nothing, uncached and warm: `noop.py RUNS COUNT`; CPU seconds."""

import json
import os
import sys
import time

from core import pipeline, step


@step
def nothing(x: int) -> None:
    pass


@pipeline
def idle(seed: int, count: int):
    for index in range(count):
        nothing(seed + index)


if __name__ == "__main__":
    runs, count = map(int, sys.argv[1:])
    idle(0, 10)
    seconds = []
    for number in range(1, runs + 1):
        began = time.process_time()
        idle(number * 10_000_000, count)
        seconds.append(time.process_time() - began)
    os.write(1, json.dumps(seconds).encode() + b"\n")
