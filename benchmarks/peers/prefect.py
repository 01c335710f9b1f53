"""Prefect with the server that it starts by itself: `prefect.py WORK FOLDER SEED`. It compiles nothing ahead.

Tried with 3.8 and fastapi 0.124 (its server does not start with 0.165): all but a warm server.
"""

import os
import sys

work, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ |= {
    "PREFECT_HOME": folder,
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
}

from prefect import flow, task  # noqa: E402 - everything counts
from prefect.cache_policies import INPUTS, TASK_SOURCE  # noqa: E402 - the same

POLICY = INPUTS + TASK_SOURCE


@task(cache_policy=POLICY)
def number(x: int) -> int:
    return x


@task(cache_policy=POLICY)
def double(x: int) -> int:
    return 2 * x


@task(cache_policy=POLICY)
def inc(x: int) -> int:
    return x + 1


@task(cache_policy=POLICY)
def make(x: int):
    import numpy as np

    return np.arange(x, x + 25_000_000, dtype=np.float64)


@task(cache_policy=POLICY)
def total(values) -> float:
    return float(values.sum())


@flow
def hello(x: int) -> int:
    return double(number(x))


@flow
def chain(x: int, count: int = 100) -> int:
    for _ in range(count):
        x = inc(x)
    return x


@flow
def handed(x: int) -> float:
    return total(make(x))


if work == "hello":
    hello(seed)
elif work == "chain":
    chain(seed * 1_000_000)
elif work == "compile":
    raise SystemExit(3)
elif work == "array":
    handed(seed)
