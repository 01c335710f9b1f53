"""Tell malignant from benign tumours: train two models side by side, promote the better one, use it.

python run.py --training-pipeline
python run.py --inference-pipeline
"""

import argparse
from typing import Annotated, TypeAlias

from matplotlib.figure import Figure
from pandas import DataFrame
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import RocCurveDisplay, accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from core import Client, log_metadata, pipeline, step

Model: TypeAlias = Pipeline | RandomForestClassifier
TARGET = "target"


@step
def load() -> Annotated[DataFrame, "patients"]:
    """569 patients: 30 measured features, and whether the tumour was benign (1) or malignant (0)."""
    patients: DataFrame = load_breast_cancer(as_frame=True).frame
    return patients


@step
def split(
    patients: DataFrame, share: float = 0.25
) -> tuple[Annotated[DataFrame, "train"], Annotated[DataFrame, "test"]]:
    """Keep a share of the patients for the test, both kinds in proportion."""
    train, test = train_test_split(patients, test_size=share, stratify=patients[TARGET], random_state=0)
    print(f"{len(train)} patients to train on, {len(test)} to test with")
    return train, test


@step
def train_linear(train: DataFrame, strength: float = 1.0) -> Annotated[Pipeline, "model"]:
    """Logistic regression on scaled features; a smaller strength holds it back more."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength))
    return model.fit(train.drop(columns=TARGET), train[TARGET])


@step
def train_forest(train: DataFrame, trees: int = 100) -> Annotated[RandomForestClassifier, "model"]:
    """A random forest."""
    return RandomForestClassifier(trees, random_state=0).fit(train.drop(columns=TARGET), train[TARGET])


@step
def evaluate(
    linear: Pipeline, forest: RandomForestClassifier, test: DataFrame
) -> Annotated[dict[str, float], "scores"]:
    """Share of the test's patients that each model gets right."""
    features = test.drop(columns=TARGET)
    models = {"linear": linear, "forest": forest}
    scores = {
        name: round(float(accuracy_score(test[TARGET], model.predict(features))), 4) for name, model in models.items()
    }
    print(scores)
    log_metadata(**scores)
    return scores


@step
def plot(linear: Pipeline, forest: RandomForestClassifier, test: DataFrame) -> Annotated[Figure, "chart"]:
    """ROC curves of both models in one chart."""
    figure = Figure(figsize=(5, 5))
    axes = figure.subplots()
    for name, model in {"linear": linear, "forest": forest}.items():
        RocCurveDisplay.from_estimator(model, test.drop(columns=TARGET), test[TARGET], name=name, ax=axes)
    return figure


@step
def promote(linear: Pipeline, forest: RandomForestClassifier, scores: dict[str, float]) -> Annotated[Model, "model"]:
    """The better model: what inference will use."""
    best = max(scores, key=lambda name: scores[name])
    print(f"promoted: {best}")
    return linear if best == "linear" else forest


@pipeline
def training(share: float = 0.25, strength: float = 1.0, trees: int = 100) -> Model:
    """From raw data to the promoted model."""
    train, test = split(load(), share)
    linear = train_linear(train, strength)
    forest = train_forest(train, trees)
    scores = evaluate(linear, forest, test)
    plot(linear, forest, test)
    return promote(linear, forest, scores)


@step
def promoted(run: str) -> Annotated[Model, "model"]:
    """The model that a training run promoted, read back from its artifact."""
    model: Model = Client().run(run).steps["promote"].outputs["model"].load()
    return model


@step
def predict(model: Model, patients: DataFrame, rows: int = 5) -> Annotated[DataFrame, "predictions"]:
    """How likely the first patients' tumours are benign, beside what was found."""
    some = patients.head(rows)
    benign = model.predict_proba(some.drop(columns=TARGET))[:, 1].round(3)
    return DataFrame({"benign": benign, "found": some[TARGET].map({1: "benign", 0: "malignant"})})


@pipeline
def inference(run: str, rows: int = 5) -> DataFrame:
    """Predictions by the model that `run` promoted."""
    return predict(promoted(run), load(), rows)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--training-pipeline", action="store_true", help="train two models and promote the better one")
    which.add_argument("--inference-pipeline", action="store_true", help="predict with the model promoted last")
    if parser.parse_args().training_pipeline:
        run = training()
        print(run.steps["evaluate"].outputs["scores"].load())
        return
    newest = Client().runs(1, pipeline="training", state="completed")
    if not newest:
        parser.exit(1, "nothing is promoted yet: run it with --training-pipeline first\n")
    run = inference(newest[0].id)
    print(run.steps["predict"].outputs["predictions"].load())


if __name__ == "__main__":
    main()
