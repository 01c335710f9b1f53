"""redun with a SQLite file: `redun.py WORK FOLDER SEED`. Tried with 0.44. Its graph is lazy: there is nothing to compile."""

import sys

work, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])

from redun import Scheduler, task  # noqa: E402 - everything counts
from redun.config import Config  # noqa: E402 - the same

redun_namespace = "bench"


@task()
def number(x: int) -> int:
    return x


@task()
def double(x: int) -> int:
    return 2 * x


@task()
def inc(x: int) -> int:
    return x + 1


@task()
def make(x: int):
    import numpy as np

    return np.arange(x, x + 25_000_000, dtype=np.float64)


@task()
def total(values) -> float:
    return float(values.sum())


@task()
def handed(x: int) -> float:
    return total(make(x))


@task()
def hello(x: int) -> int:
    return double(number(x))


@task()
def chain(x: int, count: int) -> int:
    for _ in range(count):
        x = inc(x)
    return x


def run(expression):
    scheduler = Scheduler(config=Config({"backend": {"db_uri": f"sqlite:///{folder}/redun.db"}}))
    scheduler.load(migrate=True)
    scheduler.run(expression)


if work == "hello":
    run(hello(seed))
elif work == "chain":
    run(chain(seed * 1_000_000, 100))
elif work == "compile":
    raise SystemExit(3)
elif work == "array":
    run(handed(seed))
