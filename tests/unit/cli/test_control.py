"""Workers of a run, and the verbs that go on with runs: resume, cancel, retry, replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core import pipeline, schedule, step
from core.errors import DefinitionError
from core.model.spec import RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Done

    Core = Callable[..., Done]


class Driven(Exception):
    """Stands for the run that would begin now."""


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many workers each run would have; none begins."""
    seen: list[int] = []

    def drive(*arguments: Any) -> None:
        seen.append(next(each.workers for each in arguments if hasattr(each, "workers")))
        raise Driven

    monkeypatch.setattr(schedule, "drive", drive)
    return seen


def test_the_call_goes_before_the_pipeline_and_that_before_the_settings(
    workers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    @step
    def work() -> int:
        return 1

    @pipeline(workers=3)
    def flow() -> None:
        work()

    monkeypatch.setenv("CORE_WORKERS", "2")
    for call in (
        lambda: flow.run({}, RunOptions(workers=4)),
        flow,
        flow.with_options(workers=None),
        lambda: flow.run({}, RunOptions(workers=0)),
    ):
        with pytest.raises(Driven):
            call()
    assert workers[:3] == [4, 3, 2]
    assert workers[3] >= 1


@pytest.mark.parametrize("wrong", [-1, 1001, True, "4", 2.0])
def test_a_pipeline_refuses_what_is_no_number_of_workers(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match=r"workers=.* is no whole number from 0 to 1000"):
        pipeline(workers=wrong)(lambda: None)


def test_workers_on_the_command_line_and_in_the_file(core: Core, workers: list[int], project: Path) -> None:
    (project / "run.yaml").write_text("workers: 5\n")
    for words in (["-w", "4"], ["--workers=7", "--config", "run.yaml"], ["--config", "run.yaml"]):
        core("run", "train.py", *words)
    assert workers == [4, 7, 5]
    done = core("run", "train.py", "-w", "many")
    assert done.code == 2
    assert "-w/--workers: it is 'many'; expected a whole number from 0 to 1000, or 'auto' for one a core" in done.err
