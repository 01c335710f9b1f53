"""A project folder with a pipeline in it, and the `core` command called in this process."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from core.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROGRAM = '''
"""A small pipeline."""

from typing import Annotated

from core import log_metadata, pipeline, step


@step
def load(rows: int = 3) -> list[int]:
    print("loading", rows)
    return list(range(rows))


@step
def total(numbers: list[int], scale: float) -> Annotated[float, "sum"]:
    log_metadata(scale=scale)
    return sum(numbers) * scale


@pipeline
def training(rows: int = 3, scale: float = 1.0) -> float:
    """Adds numbers up."""
    return total(load(rows), scale)
'''


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder: holds `train.py` with the pipeline `training`; its state lies beside it."""
    for name in list(os.environ):
        if name.startswith("CORE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def core(project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Calls the command in this process: `core("runs", "list")`."""

    def call(*words: str) -> Done:
        capsys.readouterr()
        code = main(list(words))
        return Done(code, *capsys.readouterr())

    return call
