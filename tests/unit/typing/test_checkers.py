"""pyright, mypy and ty see the six mistakes of a pipeline, and nothing wrong in a correct one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHECKERS = {
    "pyright": ["--pythonpath", sys.executable],
    "mypy": ["--strict", "--no-error-summary", "--hide-error-context", "--cache-dir", "{cache}"],
    "ty": ["check", "--output-format", "concise", "--python", sys.prefix],
}
KINDS = [
    "a wrong type passed on",
    "a missing argument",
    "an unknown argument",
    "wrong arity of a tuple output",
    "a parameter of the wrong type",
    "an attribute that the output's type lacks",
]


def complaints(checker: str, sample: str, tmp_path: Path) -> dict[int, str]:
    """What `checker` says of a file of this folder, by line; the file lies alone, as a user's does."""
    program = shutil.which(
        checker, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    )
    if program is None:
        what = f"the type checker {checker!r} is not installed"
        (pytest.fail if os.environ.get("CORE_TEST_REQUIRE_ENGINES") == "1" else pytest.skip)(what)
    shutil.copy(HERE / sample, tmp_path / sample)
    options = [option.format(cache=tmp_path / "cache") for option in CHECKERS[checker]]
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(program), *options, sample],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found: dict[int, str] = {}
    for line, text in re.findall(rf"{re.escape(sample)}:(\d+):(.*)", done.stdout):
        if not re.search(r"^\d*:? ?(note|information)", text.strip()):
            found[int(line)] = text.strip()
    assert done.returncode in (0, 1), f"{checker} broke: {done.stdout}\n{done.stderr}"
    assert bool(found) == bool(done.returncode), (
        f"{checker} said what was not understood:\n{done.stdout}\n{done.stderr}"
    )
    return found


def mistakes() -> dict[int, str]:
    """The lines of the sample that hold a mistake, and which."""
    lines = (HERE / "mistakes.py").read_text().splitlines()
    marked = (line.partition("# mistake: ") for line in lines)
    return {number: kind for number, (_, mark, kind) in enumerate(marked, 1) if mark}


def test_the_sample_holds_all_six_mistakes() -> None:
    assert list(mistakes().values()) == KINDS


@pytest.mark.parametrize("checker", CHECKERS)
def test_each_of_the_six_mistakes_is_reported_and_nothing_else(checker: str, tmp_path: Path) -> None:
    found = complaints(checker, "mistakes.py", tmp_path)
    missed = [kind for line, kind in mistakes().items() if line not in found]
    assert not missed, f"{checker} overlooks: {missed}"
    assert found.keys() == mistakes().keys(), f"{checker} says more than that: {found}"


@pytest.mark.parametrize("checker", CHECKERS)
def test_nothing_is_reported_on_a_correct_pipeline(checker: str, tmp_path: Path) -> None:
    assert complaints(checker, "correct.py", tmp_path) == {}
