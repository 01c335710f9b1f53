"""`ref`: the same functions as a plain script, each output pickled to disk. `ref.py hello|chain|print|array FOLDER SEED`."""

import pickle
import sys


def number(seed):
    return seed


def double(x):
    return x * 2


def inc(x):
    return x + 1


def keep(folder, name, value):
    with open(f"{folder}/{name}.pickle", "wb") as file:
        pickle.dump(value, file, protocol=5)
    return value


def hello(folder, seed):
    keep(folder, "double", double(keep(folder, "number", number(seed))))


def chain(folder, seed, count=100):
    value = seed
    for index in range(count):
        value = keep(folder, f"inc_{index}", inc(value))
    return value


def printed(megabytes, _seed=0):
    line = "x" * 99
    for _ in range(int(megabytes) * 10_000):
        print(line)


def array(folder, seed):
    import numpy as np

    def make():
        return np.arange(seed, seed + 25_000_000, dtype=np.float64)

    made = keep(folder, "make", make())
    keep(folder, "total", float(made.sum()))


if __name__ == "__main__":
    work, folder, seed = sys.argv[1:]
    {"hello": hello, "chain": chain, "print": printed, "array": array}[work](folder, int(seed))
