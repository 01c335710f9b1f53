"""Values of classes that a program defines, loaded by other programs from other folders."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
from dataclasses import dataclass
from typing import Annotated
from core import pipeline, step
@dataclass
class Point:
    x: int
class Plain:
    x = 7
@step
def make() -> tuple[Annotated[Point, "point"], Annotated[Plain, "plain"], Annotated[list[Point], "points"]]:
    return Point(7), Plain(), [Point(7)]
@pipeline
def p(): make()
if __name__ == "__main__":
    p()
"""
READER = """
from core import Client
outputs = Client().run().steps["make"].outputs
print(outputs["point"].load().x, outputs["plain"].load().x, outputs["points"].load()[0].x)
"""


def program(folder: Path, name: str, text: str) -> subprocess.CompletedProcess[str]:
    """Run `text` as a program of its own in `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    command = [sys.executable, "-X", "dev", "-W", "error", name]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("other", ["", "class Point: pass\nclass Plain: x = 8\n"])
def test_another_program_in_another_folder_finds_the_classes(tmp_path: Path, other: str) -> None:
    assert program(tmp_path / "project", "flow.py", PROGRAM).returncode == 0
    if other:
        program(tmp_path / "elsewhere", "flow.py", other)
    done = program(tmp_path / "elsewhere", "read.py", READER)
    assert done.stdout == "7 7 7\n", done.stderr


@pytest.mark.parametrize("output", ["point", "plain"])
def test_a_reader_of_the_same_name_is_told_to_rename(tmp_path: Path, output: str) -> None:
    assert program(tmp_path / "project", "flow.py", PROGRAM).returncode == 0
    reader = f"from core import Client\nClient().run().steps['make'].outputs['{output}'].load()"
    done = program(tmp_path / "elsewhere", "flow.py", reader)
    assert "'flow': rename one of the two files" in done.stderr


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    assert program(tmp_path / "project", "flow.py", PROGRAM).returncode == 0
    (tmp_path / "project").rename(tmp_path / "moved")
    done = program(tmp_path / "elsewhere", "read.py", READER.replace('"point"', '"plain"'))
    assert "No module named 'flow' [not-found]" in done.stderr or "NotFoundError" in done.stderr
    assert "PYTHONPATH" in done.stderr


def test_loading_runs_no_pipeline(tmp_path: Path) -> None:
    text = PROGRAM.replace('if __name__ == "__main__":\n    p()', "p()")
    assert program(tmp_path / "project", "flow.py", text).returncode == 0
    done = program(tmp_path / "elsewhere", "read.py", READER)
    assert "is called while" in done.stderr
    assert "running" not in done.stderr
