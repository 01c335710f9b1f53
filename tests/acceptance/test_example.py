"""The example as a newcomer meets it: fresh processes, real data, run again, one line changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core import Client

pytest.importorskip("sklearn")
EXAMPLE = Path(__file__).parents[2] / "examples" / "training" / "run.py"
STEPS = ["load", "split", "train_linear", "train_forest", "evaluate", "plot", "promote"]


class Newcomer:
    """Someone in a folder with a copy of the example."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = folder / "run.py"
        shutil.copy(EXAMPLE, self.script)

    def types(self, *words: str, code: int = 0) -> str:
        environment = os.environ | {"CORE_HOME": str(self.folder / "home"), "COLUMNS": "200", "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def steps(self) -> dict[str, dict[str, Any]]:
        """Steps of the newest run, as the command line tells them."""
        shown = Client(str(self.folder / "home")).run("latest").to_data()
        return {step["name"]: step for step in shown["steps"]}

    def edits(self, old: str, new: str) -> None:
        text = self.script.read_text()
        assert text.count(old) == 1
        self.script.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder in which training ran once, and a copy of it."""
    folder = tmp_path_factory.mktemp("trained")
    project, copy = folder / "project", folder / "copy"
    project.mkdir()
    printed = Newcomer(project).types("run.py", "--training-pipeline")
    assert "'linear': 0.9" in printed
    shutil.copytree(project, copy)
    return project, copy


@pytest.fixture
def newcomer(trained: tuple[Path, Path]) -> Newcomer:
    """The folder as it was after the first training: the path stays, since artifacts record the store they lie in."""
    project, copy = trained
    shutil.rmtree(project)
    shutil.copytree(copy, project)
    return Newcomer(project)


def test_training_runs_every_step_and_keeps_what_each_returned(newcomer: Newcomer) -> None:
    steps = newcomer.steps()
    assert list(steps) == STEPS
    assert {step["state"] for step in steps.values()} == {"completed"}
    assert {step["reason"] for step in steps.values()} == {"never ran"}
    assert set(steps["split"]["outputs"]) == {"train", "test"}
    assert steps["evaluate"]["metadata"]["linear"] > 0.9
    newcomer.types("-m", "core", "artifact", "load", "latest/plot", "--to", "roc.png")
    assert (newcomer.folder / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_the_second_training_reuses_every_step_whatever_was_commented_meanwhile(newcomer: Newcomer) -> None:
    newcomer.edits('    """A random forest."""', '    """A random forest, as Breiman has it."""\n    # many trees')
    newcomer.types("run.py", "--training-pipeline")
    steps = newcomer.steps()
    assert {step["state"] for step in steps.values()} == {"reused"}
    assert all(step["reason"] for step in steps.values())


def test_one_changed_line_runs_again_what_it_must_and_says_why(newcomer: Newcomer) -> None:
    newcomer.edits(
        "RandomForestClassifier(trees, random_state=0)", "RandomForestClassifier(trees, max_depth=2, random_state=0)"
    )
    newcomer.types("run.py", "--training-pipeline")
    steps = newcomer.steps()
    assert [name for name in STEPS if steps[name]["state"] == "reused"] == ["load", "split", "train_linear"]
    assert steps["train_forest"]["reason"].startswith("code of train_forest changed (run.py:")
    assert steps["plot"]["reason"] == "input model of step train_forest changed"


def test_a_parameter_is_told_with_both_values(newcomer: Newcomer) -> None:
    newcomer.types("-m", "core", "run", "run.py:training", "-p", "trees=30")
    steps = newcomer.steps()
    assert steps["train_linear"]["state"] == "reused"
    assert steps["train_forest"]["reason"] == "parameter trees 100 -> 30"


def test_inference_uses_the_promoted_model(newcomer: Newcomer) -> None:
    printed = newcomer.types("run.py", "--inference-pipeline")
    steps = newcomer.steps()
    assert steps["load"]["state"] == "reused"
    assert "malignant" in printed
    assert newcomer.types("run.py", "--inference-pipeline").endswith(printed.splitlines()[-1] + "\n")


def test_inference_without_training_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    newcomer = Newcomer(folder)
    newcomer.types("run.py", "--inference-pipeline", code=1)
