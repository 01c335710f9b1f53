"""One of many processes that want the same cached step, which takes a second: `alone.py SEED SAID`.

Says `ready` once it has started up and recorded a step of its own, waits for a line on standard input, runs, says `done`.
Who runs the step adds a line to the file SAID.
"""

import os
import sys
import time

from core import pipeline, step


@step
def own(number: int) -> int:
    return number


@step
def dear(seed: int) -> int:
    with open(sys.argv[2], "a", encoding="ascii") as said:
        said.write(f"{seed}\n")
    time.sleep(1)
    return seed


@pipeline
def warm(number: int):
    own(number)


@pipeline
def alone(seed: int):
    dear(seed)


warm(os.getpid())
print("ready", flush=True)
sys.stdin.readline()
alone(int(sys.argv[1]))
print("done", flush=True)
