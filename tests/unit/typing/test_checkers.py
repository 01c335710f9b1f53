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
    "mypy": ["--strict", "--hide-error-context", "--cache-dir", "{cache}"],
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


SAMPLES = ("mistakes.py", "correct.py")


def complaints(checker: str, tmp_path: Path) -> dict[str, dict[int, str]]:
    """What `checker` says of each sample, by line; they lie alone, as a user's files do."""
    program = shutil.which(
        checker, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    )
    if program is None:
        what = f"the type checker {checker!r} is not installed"
        (pytest.fail if os.environ.get("CORE_TEST_REQUIRE_ENGINES") == "1" else pytest.skip)(what)
    for sample in SAMPLES:
        shutil.copy(HERE / sample, tmp_path / sample)
    cache = (
        Path(__file__).parents[3] / ".mypy_cache" / "samples"
    )  # mypy reads all of core: that is kept for the next time
    options = [option.format(cache=cache) for option in CHECKERS[checker]]
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(program), *options, *SAMPLES],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found: dict[str, dict[int, str]] = {sample: {} for sample in SAMPLES}
    understood = 0
    for sample, line, text in re.findall(rf"({'|'.join(map(re.escape, SAMPLES))}):(\d+):(.*)", done.stdout):
        if not re.search(r"^\d*:? ?(note|information)", text.strip()):
            found[sample][int(line)] = text.strip()
            understood += 1
    assert done.returncode in (0, 1), f"{checker} broke: {done.stdout}\n{done.stderr}"
    said = re.search(r"(\d+) (?:errors?|diagnostics?)\b", done.stdout)
    assert said is not None
    assert int(said[1]) == understood, f"{checker} said what was not understood:\n{done.stdout}\n{done.stderr}"
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
    found = complaints(checker, tmp_path)
    missed = [kind for line, kind in mistakes().items() if line not in found["mistakes.py"]]
    assert not missed, f"{checker} overlooks: {missed}"
    assert found["mistakes.py"].keys() == mistakes().keys(), f"{checker} says more than that: {found}"
    assert found["correct.py"] == {}
