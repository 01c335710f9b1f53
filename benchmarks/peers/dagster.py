"""Dagster with a SQLite instance in a folder: `dagster.py WORK FOLDER SEED`. In process.

It reuses no steps by itself, so `cached` is its usual run again. Tried with 1.13, but for `compile`: 5,000 steps stop at the
usual recursion limit; with the higher one below it was not tried.
"""

import os
import sys

work, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ["DAGSTER_HOME"] = folder
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"

from dagster import DagsterInstance, In, Out, job, op  # noqa: E402 - everything counts


@op
def number() -> int:
    return seed


@op
def double(x: int) -> int:
    return 2 * x


@op
def inc(x: int) -> int:
    return x + 1


@op(out=Out())
def make():
    import numpy as np

    return np.arange(seed, seed + 25_000_000, dtype=np.float64)


@op(ins={"values": In()})
def total(values) -> float:
    return float(values.sum())


def chained(count):
    @job
    def chain():
        value = number()
        for index in range(count - 1):
            value = inc.alias(f"inc_{index}")(value)

    return chain


@job
def hello():
    double(number())


@job
def handed():
    total(make())


def run(what):
    with DagsterInstance.local_temp(folder) as instance:
        assert what.execute_in_process(instance=instance).success


if work == "hello":
    run(hello)
elif work == "chain":
    run(chained(100))
elif work == "compile":
    sys.setrecursionlimit(100_000)
    chained(5000)
elif work == "array":
    run(handed)
