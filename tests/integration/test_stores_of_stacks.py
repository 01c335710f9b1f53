"""Runs on one stack that take what a run on another left: copied where both stores can be reached, else refused."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from core import Client, RunFailed, pipeline, step
from core.cli import main
from core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

ready = True


@step
def make() -> list[int]:
    return list(range(5000))


@step
def total(numbers: list[int]) -> int:
    if not ready:
        raise ValueError("not ready")
    return sum(numbers)


@pipeline
def adding() -> int:
    return total(make())


def stack(name: str, path: Path) -> None:
    """Registers a stack with a store of its own at `path`."""
    assert main(["artifact-store", "register", name, "-f", "local", f"--path={path}"]) == 0
    assert main(["stack", "register", name, "-a", name]) == 0


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two stacks, `one` and `two`; `one` is chosen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tests.integration.test_stores_of_stacks.ready", True)
    stack("one", tmp_path / "one")
    stack("two", tmp_path / "two")
    monkeypatch.setenv("CORE_STACK", "one")
    monkeypatch.setenv("CORE_INLINE_LIMIT", "0")
    return tmp_path


def states(run: object) -> list[str]:
    return [str(step.state) for step in run.steps.values()]  # type: ignore[attr-defined]


def test_an_artifact_is_loaded_from_where_it_lies(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = adding()
    assert run.steps["make"].outputs["output"].ref.store == f"file://{stacks / 'one'}"
    monkeypatch.setenv("CORE_STACK", "two")
    assert Client().run(run.id).steps["make"].outputs["output"].load() == list(range(5000))
    assert not (stacks / "two").exists()


def test_a_cached_result_is_copied(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adding()
    monkeypatch.setenv("CORE_STACK", "two")
    assert states(adding()) == ["reused", "reused"]
    shutil.rmtree(stacks / "one")
    assert states(adding()) == ["reused", "reused"]


def test_a_cached_result_that_nobody_reaches_is_made_again(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adding()
    monkeypatch.setenv("CORE_STACK", "two")
    shutil.rmtree(stacks / "one")
    run = adding()
    assert states(run) == ["completed", "completed"]
    assert f"it was stored in file://{stacks / 'one'}" in run.steps["make"].reason


def failed(monkeypatch: pytest.MonkeyPatch) -> str:
    """A run whose second step failed, and would not now."""
    monkeypatch.setattr("tests.integration.test_stores_of_stacks.ready", False)
    with pytest.raises(RunFailed) as caught:
        adding()
    monkeypatch.setattr("tests.integration.test_stores_of_stacks.ready", True)
    monkeypatch.setenv("CORE_STACK", "two")
    return caught.value.run.id


def test_a_run_is_resumed_on_another_stack(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed(monkeypatch)
    resumed = Client().run(run).resume()
    assert states(resumed) == ["completed", "completed"]
    assert len(resumed.steps["make"].attempts) == 1
    shutil.rmtree(stacks / "one")
    assert resumed.steps["make"].outputs["output"].load()[-1] == 4999


def test_finished_steps_are_not_run_again_because_their_store_is_out_of_reach(
    stacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = failed(monkeypatch)
    assert main(["stack", "delete", "one"]) == 0
    assert main(["artifact-store", "delete", "one"]) == 0
    shutil.move(stacks / "one", stacks / "elsewhere")
    with pytest.raises(ConfigurationError, match=r"step 'make' has finished, but .* no artifact store of this home"):
        Client().run(run).resume()
    shutil.move(stacks / "elsewhere", stacks / "one")
    assert states(Client().run(run).resume()) == ["completed", "completed"]


def test_what_is_gone_from_its_store_is_made_again(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed(monkeypatch)
    shutil.rmtree(stacks / "one")
    (stacks / "one").mkdir()
    resumed = Client().run(run).resume()
    assert len(resumed.steps["make"].attempts) == 2


def test_a_damaged_artifact_is_not_copied(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adding()
    for file in [path for path in (stacks / "one").rglob("*") if path.is_file()]:
        file.chmod(0o644)
        file.write_bytes(b"other bytes")
    monkeypatch.setenv("CORE_STACK", "two")
    run = adding()
    assert states(run) == ["completed", "completed"]
    assert "holds other bytes" in run.steps["make"].reason
