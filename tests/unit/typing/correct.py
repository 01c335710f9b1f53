"""A pipeline without a mistake, in every shape that steps have: the type checkers must have nothing to say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from core import Retry, pipeline, step


class Model:
    weights: list[float]

    def score(self) -> float:
        return sum(self.weights)


class Parts(NamedTuple):
    train: list[int]
    test: list[int]


@dataclass
class Scores:
    accuracy: float


@step
def load(rows: int = 100) -> tuple[Annotated[list[int], "train"], Annotated[list[int], "test"]]:
    return list(range(rows)), []


@step(cache=False, retry=Retry(attempts=2), tags=("slow",))
def train(data: list[int], gamma: float = 0.1) -> Annotated[Model, "model"]:
    return Model()


@step
async def evaluate(model: Model, *, data: list[int]) -> Scores:
    return Scores(model.score())


@step
def split(data: list[int]) -> Parts:
    return Parts(data, data)


@step
def best(*models: Model) -> Model:
    return models[0]


@step
def report(accuracy: float, scores: Scores) -> None: ...


@step
def list_files(folder: str) -> list[str]:
    return [folder]


@step
def clean(file: str, strength: int = 1) -> float:
    return float(strength)


@step
def total(parts: list[float]) -> float:
    return sum(parts)


@step
def good(score: float) -> bool:
    return score > 1


@step
def deploy(score: float) -> str:
    return str(score)


@step
def tell(url: str | None) -> None: ...


@pipeline
def nightly(folder: str = ".") -> None:
    parts = clean.with_options(map_limit=50).map(list_files(folder), strength=2)
    result = total(parts)
    url = deploy.with_options(when=good(result))(result)
    tell(url)
    best_urls = deploy.with_options(when=good.map(parts)).map(parts)
    tell.map(best_urls)


def words() -> Iterator[str]:
    yield "a"


@pipeline
def training(gamma: float = 0.01) -> Model:
    train_rows, test_rows = load(rows=10)
    parts = split(train_rows)
    model = train.with_options(name="again", cache=False)(parts.train, gamma)
    scores = evaluate(best(model, *train.map([train_rows, test_rows])), data=test_rows)
    report(scores.accuracy, scores)
    return model


if __name__ == "__main__":
    run = training(gamma=0.02)
    print(run.state, run.id)
