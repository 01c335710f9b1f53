"""The six mistakes that each type checker must report, on the lines that say so."""

from __future__ import annotations

from typing import Annotated

from core import pipeline, step


class Model:
    def score(self) -> float:
        return 1.0


@step
def load(rows: int = 100) -> tuple[Annotated[list[int], "train"], Annotated[list[int], "test"]]:
    return list(range(rows)), []


@step(cache=False)
def train(data: list[int], gamma: float = 0.1) -> Annotated[Model, "model"]:
    return Model()


@step
def evaluate(model: Model, data: list[int]) -> float:
    return model.score()


@pipeline
def training() -> None:
    train_rows, test_rows = load()
    model = train(train_rows)
    evaluate(train_rows, test_rows)  # mistake: a wrong type passed on
    evaluate(model)  # mistake: a missing argument
    train(train_rows, gama=0.5)  # mistake: an unknown argument
    _one, _two, _three = load()  # mistake: wrong arity of a tuple output
    train(train_rows, gamma="high")  # mistake: a parameter of the wrong type
    model.predict()  # mistake: an attribute that the output's type lacks
