"""Steps side by side of several kinds: `side.py nap|forest|matrix|short|chained SEED`."""

import sys
import time

from core import pipeline, step


@step
def nap(seed: int) -> int:
    time.sleep(1)
    return seed


@step
def short(seed: int) -> int:
    return seed


@step
def then(x: int) -> int:
    return x + 1


@pipeline
def naps(seed: int):
    nap.map(range(seed, seed + 8))


@pipeline
def shorts(seed: int):
    short.map(range(seed, seed + 1000))


@pipeline
def chained(seed: int):
    value = seed
    for _ in range(100):
        value = then(value)


def learning():
    """Pipelines of those who train: what they import is there before the run, as in their scripts."""
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    @step
    def patients(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(20_000, 50))

    @step
    def forest(data: np.ndarray, number: int) -> float:
        """One core at work: about three seconds."""
        wanted = data[:, 0] * data[:, 1] > 0
        return float(RandomForestClassifier(15, random_state=number).fit(data, wanted).score(data, wanted))

    @step
    def matrix(seed: int, number: int) -> float:
        """BLAS has all cores at work by itself: about three seconds."""
        value = np.random.default_rng(seed + number).normal(size=(2500, 2500))
        for _ in range(8):
            value = value @ value
            value /= abs(value).max()
        return float(value.sum())

    @pipeline
    def forests(seed: int):
        data = patients(seed)
        for number in range(4):
            forest(data, number)

    @pipeline
    def matrices(seed: int):
        for number in range(4):
            matrix(seed, number)

    return {"forest": forests, "matrix": matrices}


if __name__ == "__main__":
    kind, seed = sys.argv[1], int(sys.argv[2])
    plain = {"nap": naps, "short": shorts, "chained": chained}
    (plain.get(kind) or learning()[kind])(seed)
