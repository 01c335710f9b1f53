"""ZenML with its local SQLite store and no server: `zenml.py WORK FOLDER SEED`.

It compiles nothing ahead. Tried with 0.98.
"""

import os
import sys

work, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ |= {
    "ZENML_CONFIG_PATH": folder,
    "ZENML_ANALYTICS_OPT_IN": "false",
    "ZENML_LOGGING_VERBOSITY": "ERROR",
    "ZENML_ENABLE_RICH_TRACEBACK": "false",
    "AUTO_OPEN_DASHBOARD": "false",
}

import numpy as np  # noqa: E402 - its annotations are read
from zenml import pipeline, step  # noqa: E402 - everything counts


@step
def number(x: int) -> int:
    return x


@step
def double(x: int) -> int:
    return 2 * x


@step
def inc(x: int) -> int:
    return x + 1


@step
def make(x: int) -> np.ndarray:
    return np.arange(x, x + 25_000_000, dtype=np.float64)


@step
def total(values: np.ndarray) -> float:
    return float(values.sum())


@pipeline
def hello(x: int):
    double(number(x))


@pipeline
def chain(x: int, count: int = 100):
    for _ in range(count):
        x = inc(x)


@pipeline
def handed(x: int):
    total(make(x))


if work == "hello":
    hello(seed)
elif work == "chain":
    chain(seed * 1_000_000)
elif work == "compile":
    raise SystemExit(3)
elif work == "array":
    handed(seed)
