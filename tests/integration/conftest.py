"""What the tests of bad input share: a working folder with a pipeline in it, and a way to be refused."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[..., subprocess.CompletedProcess[str]]

FLOW = """
from typing import Annotated
from core import step, pipeline

@step
def make(size: int = 20_000) -> Annotated[str, "text"]:
    return "x" * size

@step(cache=False)
def use(text: str) -> int:
    return len(text)

@pipeline
def flow(size: int = 20_000, note: str = ""):
    use(make(size))

if __name__ == "__main__":
    flow()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with `flow.py` in it; programs that are started there talk in plain lines."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "flow.py").write_text(FLOW)
    monkeypatch.chdir(place)
    monkeypatch.setenv("CORE_DISPLAY", "none")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield place
    sys.modules.pop("flow", None)


@pytest.fixture
def refused(python: Call, core_home: Path) -> Callable[..., str]:
    """What a program says on stderr that ends with `code`; in it none of core's own frames, and no run was recorded."""

    def call(*words: object, code: int, recorded: bool = False) -> str:
        told = python(*words, code=code).stderr
        assert f"src{os.sep}core{os.sep}" not in told
        assert "hint: " in told
        assert recorded or not (core_home / "logs").exists()
        return told

    return call
