"""`pool`: the same functions in a pool of processes, each output pickled to disk by the process that made it.

`pool.py naps|fanned FOLDER WORKERS SEED COUNT`; `pool.py array FOLDER WORKERS SEED ITEMS` hands on an array by np.save and
np.load, from one process to another.
"""

import pickle
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def nap(seed):
    time.sleep(1)
    return seed


def burn(seed):
    until = time.process_time() + 0.02
    while time.process_time() < until:
        pass
    return seed


def nothing(x):
    pass


def inc(x):
    return x + 1


def keep(function, folder, name, *values):
    path = f"{folder}/{name}.pickle"
    with open(path, "wb") as file:
        pickle.dump(function(*values), file, protocol=5)
    return path


def total(paths):
    values = []
    for path in paths:
        with open(path, "rb") as file:
            values.append(pickle.load(file))  # noqa: S301 - our own
    return sum(values)


def side_by_side(pool, function, folder, seed, count):
    futures = [pool.submit(keep, function, folder, f"{function.__name__}_{i}", seed + i) for i in range(count)]
    return [future.result() for future in futures]


def naps(pool, folder, seed, count):
    side_by_side(pool, nap, folder, seed, count)


def fanned(pool, folder, seed, count):
    pool.submit(keep, total, folder, "total", side_by_side(pool, burn, folder, seed, count)).result()


def made(seed, items, path):
    import numpy as np

    value = np.arange(seed, seed + items, dtype=np.float64)
    np.save(path, value)


def summed(path):
    import numpy as np

    return float(np.load(path).sum())


def array(pool, folder, seed, items):
    path = f"{folder}/array.npy"
    pool.submit(made, seed, items, path).result()
    pool.submit(summed, path).result()


if __name__ == "__main__":
    work, folder, *numbers = sys.argv[1:]
    workers, seed, count = map(int, numbers)
    with ProcessPoolExecutor(workers) as pool:
        {"naps": naps, "fanned": fanned, "array": array}[work](pool, folder, seed, count)
