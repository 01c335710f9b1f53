"""The example as a newcomer meets it: processes of its own, real data, run again, one line changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

if find_spec("sklearn") is None:  # an import would take seconds of every run of the tests
    pytest.skip("scikit-learn is not installed", allow_module_level=True)
EXAMPLE = Path(__file__).parents[2] / "examples" / "training" / "run.py"
STEPS = ["load", "split", "train_linear", "train_forest", "evaluate", "plot", "promote"]


FORK = """
import json, os, runpy, sys
exec(sys.argv[1])
for line in sys.stdin:
    words, folder, environment = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.chdir(folder)
    os.environ.update(environment)
    for descriptor, name in enumerate([os.devnull, "stdout", "stderr"]):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.path[0], sys.argv = folder, words
    if words[0] == "-m":
        del words[0]
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")
    sys.exit()
"""
"""Imports the example's libraries, of which one import takes longer than all that a test does, and forks for each program."""


class Newcomer:
    """Someone in a folder with a copy of the example."""

    def __init__(self, folder: Path, shell: subprocess.Popen[str]) -> None:
        self.folder, self.shell = folder, shell
        self.script = folder / "run.py"
        shutil.copy(EXAMPLE, self.script)

    def types(self, *words: str, code: int = 0) -> str:
        environment = {"CORE_HOME": str(self.folder / "home"), "COLUMNS": "200", "NO_COLOR": "1"}
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        print(json.dumps([words, str(self.folder), environment]), file=self.shell.stdin, flush=True)
        ended = self.shell.stdout.readline().strip()
        said = (self.folder / "stdout").read_text()
        assert ended == str(code), said + (self.folder / "stderr").read_text()
        return said

    def steps(self) -> dict[str, dict[str, Any]]:
        """Steps of the newest run, as the command line tells them."""
        shown = Client(str(self.folder / "home")).run("latest").to_data()
        return {step["name"]: step for step in shown["steps"]}

    def edits(self, old: str, new: str) -> None:
        text = self.script.read_text()
        assert text.count(old) == 1
        self.script.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    imports = "\n".join(
        line for line in EXAMPLE.read_text().splitlines() if line.startswith("from ") and "core" not in line
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CORE_")}
    environment["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("no-config"))
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # what has threads may not be forked
    command = [sys.executable, "-c", FORK, f"{imports}\nimport pyarrow.parquet, skops.io"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shell: subprocess.Popen[str]) -> tuple[Path, Path]:
    """A folder in which training ran once, and a copy of it."""
    folder = tmp_path_factory.mktemp("trained")
    project, copy = folder / "project", folder / "copy"
    project.mkdir()
    printed = Newcomer(project, shell).types("run.py", "--training-pipeline")
    assert "'linear': 0.9" in printed
    shutil.copytree(project, copy)
    return project, copy


@pytest.fixture
def newcomer(trained: tuple[Path, Path], shell: subprocess.Popen[str]) -> Newcomer:
    """The folder as it was after the first training: the path stays, since artifacts record the store they lie in."""
    project, copy = trained
    shutil.rmtree(project)
    shutil.copytree(copy, project)
    return Newcomer(project, shell)


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


def test_inference_without_training_says_what_to_do(tmp_path: Path, shell: subprocess.Popen[str]) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    newcomer = Newcomer(folder, shell)
    newcomer.types("run.py", "--inference-pipeline", code=1)
