"""Start-up time is a feature: what importing core, and running a first pipeline, may not import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.plugins.discover import installed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAVY = {
    "asyncio", "cloudpickle", "fsspec", "importlib.metadata", "logging", "numpy", "pluggy", "pydantic", "rich",
    "sqlalchemy", "tempfile", "traceback", "typer", "yaml",
}  # fmt: skip
SHOW = "\nimport sys; print('\\n'.join(sorted(sys.modules)))"
HELLO = """
from core import pipeline, step

@step
def hello() -> str:
    return "hello"

@step
def shout(word: str) -> str:
    return word.upper()

@pipeline
def greet() -> str:
    return shout(hello())
"""


def heavy(printed: str) -> set[str]:
    return HEAVY & set(printed.split())


def test_importing_step_and_pipeline_imports_nothing_heavy(python: Callable) -> None:
    printed = python("-c", "from core import step, pipeline" + SHOW).stdout
    assert heavy(printed) == set()
    assert set(printed.split()) & {"core.schedule", "core.view", "core.stack", "sqlite3"} == set()


@pytest.mark.parametrize("runs", [1, 2])
def test_a_recorded_run_imports_nothing_heavy(
    python: Callable, tmp_path: Path, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORE_PLUGINS_BLOCK", "*")  # a plugin brings pluggy; here it stands in the environment of tests
    script = tmp_path / "hello.py"
    script.write_text(HELLO + "\nif __name__ == '__main__':" + "\n    greet()" * runs + SHOW)
    if installed(""):  # a plugin stands in the environment of the tests: the first look at it is remembered
        python(script)
    assert heavy(python(script).stdout) == set()


def test_every_public_name_can_be_imported_and_is_documented() -> None:
    import core

    assert len(core.__all__) <= 20
    assert all(getattr(core, name).__doc__ for name in core.__all__ if not name.startswith("__"))
