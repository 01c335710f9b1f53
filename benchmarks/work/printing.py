"""One step that prints MEGABYTES in lines of 100 bytes: `printing.py MEGABYTES SEED`."""

import sys

from core import pipeline, step


@step(cache=False)
def talk(megabytes: int) -> None:
    line = "x" * 99
    for _ in range(megabytes * 10_000):
        print(line)


@pipeline
def talking(megabytes: int):
    talk(megabytes)


if __name__ == "__main__":
    talking(int(sys.argv[1]))
