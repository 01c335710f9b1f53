"""`FILE:PIPELINE`: files, modules and packages are imported as `python FILE` would, and what is wrong is named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from core.cli.target import find_pipeline, load_module, pipelines_of
from core.errors import CompileError, CoreError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Done

ONE = "from core import pipeline\n@pipeline\ndef training():\n    pass\n"
TWO = ONE + "@pipeline(name='by night')\ndef nightly():\n    pass\n"


@pytest.fixture(autouse=True)
def folder(project: Path) -> Path:
    """The working folder."""
    return project


@pytest.mark.parametrize("target", ["train.py:training", "train.py", "./train.py:training", "train:training", "train"])
def test_one_pipeline_by_every_spelling(target: str) -> None:
    assert find_pipeline(target).id == "train:training"


def test_several_pipelines(folder: Path) -> None:
    (folder / "two.py").write_text(TWO, encoding="utf-8")
    assert find_pipeline("two.py:nightly").name == "by night"
    assert find_pipeline("two.py:by night").name == "by night"
    with pytest.raises(UsageError, match=r"2 pipelines.*\n.*two\.py:training, two\.py:nightly"):
        find_pipeline("two.py")


def test_imported_pipelines_do_not_count_beside_own_ones(folder: Path) -> None:
    (folder / "more.py").write_text("from train import training\n" + ONE.replace("training", "mine"), encoding="utf-8")
    assert list(pipelines_of(load_module("more.py"))) == ["mine"]
    (folder / "again.py").write_text("from train import training\n", encoding="utf-8")
    assert list(pipelines_of(load_module("again.py"))) == ["training"]


def test_a_file_in_a_package_goes_by_its_dotted_name(folder: Path) -> None:
    package = folder / "nested" / "inner"
    package.mkdir(parents=True)
    (folder / "nested" / "__init__.py").write_text("", encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "sibling.py").write_text("", encoding="utf-8")
    (package / "deep.py").write_text("from . import sibling\nimport sibling as plain\n" + ONE, encoding="utf-8")
    assert find_pipeline("nested/inner/deep.py").id == "nested.inner.deep:training"
    assert find_pipeline("nested.inner.deep:training").id == "nested.inner.deep:training"


def test_a_file_elsewhere_finds_its_neighbours(folder: Path) -> None:
    other = folder / "else where"
    other.mkdir()
    (other / "neighbour.py").write_text("", encoding="utf-8")
    (other / "main_elsewhere.py").write_text("import neighbour\n" + ONE, encoding="utf-8")
    assert find_pipeline("else where/main_elsewhere.py:training").id == "main_elsewhere:training"
    assert sys.path[0] == str(other)


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("gone.py:x", "there is no file 'gone.py'"),
        ("gone.module:x", "no file and no module 'gone.module'"),
        ("train.py:trainig", "did you mean 'training'"),
        ("empty.py", "has no pipeline"),
    ],
)
def test_what_is_not_there(folder: Path, target: str, part: str) -> None:
    (folder / "empty.py").write_text("", encoding="utf-8")
    with pytest.raises(NotFoundError) as caught:
        find_pipeline(target)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x = 1\ndef broken(:\n", ["SyntaxError", "bad.py:2"]),
        ("\nimport no_such_module_at_all\n", ["No module named 'no_such_module_at_all'", "bad.py:2"]),
        ("def f():\n    return 1 / 0\nf()\n", ["ZeroDivisionError", "bad.py:2"]),
        ("raise SystemExit(3)\n", ["SystemExit: 3", "bad.py:1"]),
    ],
)
def test_a_file_that_cannot_be_imported(folder: Path, text: str, parts: list[str]) -> None:
    (folder / "bad.py").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_module("bad.py")
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_importing_runs_no_pipeline_but_may_call_steps(folder: Path) -> None:
    program = (folder / "train.py").read_text(encoding="utf-8")
    (folder / "calls.py").write_text(program + "\nFIRST = load(2)\nALL = load.map([1, 2])\n", encoding="utf-8")
    assert vars(load_module("calls.py"))["FIRST"] == [0, 1]
    assert vars(load_module("calls.py"))["ALL"] == [[0], [0, 1]]
    (folder / "runs.py").write_text(program + "\ntraining()\n", encoding="utf-8")
    with pytest.raises(CompileError, match=r"(?s)'training' is called while 'runs.py' is imported.*__main__"):
        load_module("runs.py")


@pytest.mark.parametrize("name", ["json.py", "sys.py"])
def test_a_file_whose_name_is_taken(folder: Path, name: str) -> None:
    (folder / name).write_text(ONE, encoding="utf-8")
    with pytest.raises(UsageError, match="rename the file"):
        load_module(name)


def test_a_folder_is_no_file(folder: Path) -> None:
    (folder / "sub").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        load_module("sub")


@pytest.mark.parametrize(
    "target", ["", ":", "train.py:", "::", "a/b.py:c d!", "\x00", "train.py:\x00", "-x", "..", "x" * 300]
)
def test_hostile_targets_are_refused_or_found(target: str) -> None:
    try:
        find_pipeline(target)
    except CoreError:
        return
    assert target == "train.py:"


def test_a_file_that_was_renamed_is_told(core: Callable[..., Done], folder: Path) -> None:
    assert core("run", "train.py").code == 0
    (folder / "train.py").rename(folder / "flow.py")
    done = core("run", "--dry-run", "flow.py", "-o", "json")
    assert "code of total moved from train.py:16 to flow.py:16" in done.out
    assert "removed" not in done.out


def test_a_run_that_goes_elsewhere_than_its_project_says_so(
    core: Callable[..., Done], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(folder.parent / "data"))
    monkeypatch.delenv("CORE_HOME")
    core("init")
    assert "warning" not in core("run", "train.py").err
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert "warning" not in core("run", "../train.py").err
    monkeypatch.chdir(folder.parent)
    told = core("run", "project/train.py").err
    assert f"this run goes to {folder.parent}/data/core" in told
    assert f"CORE_HOME={folder}/.core" in told
    monkeypatch.setenv("CORE_HOME", str(folder.parent / "mine"))
    assert "warning" not in core("run", "project/train.py").err
