"""Kedro in process, with MemoryDatasets (its default) but pickles on disk for the array: `kedro.py WORK FOLDER SEED`.

Tried with 1.7. It keeps no runs and caches nothing; `cached` is its usual run over again.
"""

import sys

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner

work, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])


def same(x):
    return x


def double(x):
    return 2 * x


def inc(x):
    return x + 1


def chain(count):
    return pipeline([node(inc, f"v{i}", f"v{i + 1}", name=f"inc_{i}") for i in range(count)])


def make(x):
    import numpy as np

    return np.arange(x, x + 25_000_000, dtype=np.float64)


def total(values):
    return float(values.sum())


def run(steps, source, **datasets):
    SequentialRunner().run(steps, DataCatalog({source: MemoryDataset(seed), **datasets}))


if work == "hello":
    run(pipeline([node(same, "seed", "number"), node(double, "number", "doubled")]), "seed")
elif work == "chain":
    run(chain(100), "v0")
elif work == "compile":
    chain(5000)
elif work == "array":
    import pickle

    from kedro.io import AbstractDataset

    class Pickled(AbstractDataset):
        def __init__(self, path):
            self._path = path

        def load(self):
            with open(self._path, "rb") as file:
                return pickle.load(file)  # noqa: S301 - our own file

        def save(self, data):
            with open(self._path, "wb") as file:
                pickle.dump(data, file, protocol=5)

        def _describe(self):
            return {"path": self._path}

    run(pipeline([node(make, "seed", "a"), node(total, "a", "t")]), "seed", a=Pickled(f"{folder}/a.pickle"))
