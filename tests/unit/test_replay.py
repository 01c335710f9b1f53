"""A step of a recorded run, once more: with what it took then, as a run of its own or without record."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from core import Client, Resources, RunFailed, get_context, log_metadata, pipeline, step
from core.errors import CompileError, NotFoundError, ParameterError, UsageError
from core.model.event import EventKind
from core.replay.changes import code_changes

if TYPE_CHECKING:
    from pathlib import Path

calls: list[Any] = []
trouble: dict[str, Any] = {}


class Point:
    """Pickled when it is stored."""

    def __init__(self, x: int) -> None:
        self.x = x


@step
def load(rows: int = 3) -> Annotated[list[int], "data"]:
    calls.append(("load", rows))
    return list(range(rows))


@step
def train(data: list[int], gamma: float = 0.1, names: tuple[str, ...] = ()) -> Annotated[float, "model"]:
    calls.append(("train", list(data), gamma, names))
    log_metadata(gamma=gamma)
    if trouble.get("train"):
        raise ValueError("no luck")
    return gamma * sum(data) + trouble.get("drift", 0)


@step
def report(model: float) -> str:
    return f"model {model}"


@pipeline
def training(rows: int = 3, gamma: float = 0.5) -> None:
    report(train(load(rows), gamma))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    calls.clear()
    trouble.clear()


def blobs(home: Path) -> set[str]:
    return {str(path) for path in home.rglob("*") if path.is_file() and path.suffix not in {".db-wal", ".db-shm"}}


def test_it_is_a_run_of_its_own_with_what_the_step_took_then() -> None:
    run = training(4)
    calls.clear()
    done = Client().replay(run.id, "train")
    assert calls == [("train", [0, 1, 2, 3], 0.5, ())]
    assert (done.changes, done.differing, done.outputs["model"].load()) == ((), (), 3.0)
    assert done.recorded["model"].ref.digest == done.outputs["model"].ref.digest
    assert done.metadata == {"gamma": 0.5}
    assert done.of == (run.id, "train", 1)
    view = done.run
    assert view is not None
    assert view.id != run.id
    assert (view.pipeline, view.state, view.tags) == ("replay of training", "completed", ("replay",))
    assert {name: str(one.state) for name, one in view.steps.items()} == {"load": "reused", "train": "completed"}
    assert view.steps["load"].outputs["data"].producer[:2] == (run.id, "load")
    assert view.steps["train"].reason == f"replay of attempt 1 in run {run.id[-8:]}"
    assert "0 outputs differ" in repr(done)


def test_the_original_run_stays_as_it_was_and_the_replay_may_be_replayed() -> None:
    run = training(4)
    before = run.to_data()
    first = Client().replay(run.id, "train", parameters={"gamma": 2})
    assert Client().run(run.id).to_data() == before
    assert first.run is not None
    again = Client().replay(first.run.id, "train")
    assert again.run is not None
    assert (again.run.pipeline, again.outputs["model"].load(), again.differing) == ("replay of training", 12.0, ())


def test_parameters_may_be_changed() -> None:
    run = training(4)
    done = Client().replay(run.id, "train", parameters={"gamma": 2, "names": ["a"]})
    assert calls[-1] == ("train", [0, 1, 2, 3], 2.0, ("a",))
    assert "parameter gamma 0.5 -> 2.0" in done.changes
    assert done.differing == ("model",)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"gama": 1}, "no parameter 'gama'; did you mean 'gamma'?"),
        ({"data": [1]}, "'data' of step 'train' is no parameter: it took load/data"),
        ({"gamma": "much"}, "parameter 'gamma' of step 'train'"),
    ],
)
def test_parameters_that_do_not_fit(given: dict[str, Any], part: str) -> None:
    run = training()
    with pytest.raises(ParameterError) as raised:
        Client().replay(run.id, "train", parameters=given)
    assert part in str(raised.value)
    assert len(Client().runs()) == 1


def test_without_record_nothing_is_left(core_home: Path) -> None:
    run = training(20_000)  # its list lies in the store
    before = blobs(core_home)
    done = Client().replay(run.id, "load", record=False, parameters={"rows": 20_001})
    assert blobs(core_home) == before
    assert (len(Client().runs()), done.run, done.differing) == (1, None, ("data",))
    assert len(done.outputs["data"].load()) == 20_001
    assert Client().replay(run.id, "train", record=False).metadata == {"gamma": 0.5}


def test_without_record_what_it_made_can_be_loaded_whatever_it_is(core_home: Path) -> None:
    @pipeline
    def flow() -> None:
        far(make())

    run = flow()
    done = Client().replay(run.id, "far", record=False)
    assert done.outputs["output"].load().x == 2
    assert done.differing == ()


@step
def make() -> Point:
    return Point(1)


@step
def far(point: Point) -> Point:
    context = get_context()
    context.checkpoint(point)
    (context.temporary_folder / "x").write_text("x")
    return Point(point.x + 1)


def failed() -> Any:
    trouble["train"] = True
    with pytest.raises(RunFailed) as raised:
        training(4)
    return raised.value.run


@pytest.mark.parametrize("record", [True, False])
def test_a_failed_step_fails_again_with_its_own_error(record: bool) -> None:  # noqa: FBT001
    run = failed()
    with pytest.raises(RunFailed) as raised:
        Client().replay(run.id, "train", record=record)
    assert isinstance(raised.value.__cause__, ValueError)
    assert (raised.value.run.id == run.id) is not record
    trouble.clear()
    done = Client().replay(run.id, "train", record=record)
    assert (done.recorded, done.differing, done.outputs["model"].load()) == ({}, (), 3.0)


def test_what_a_replay_mended_is_reused_by_the_run_that_goes_on() -> None:
    run = failed()
    trouble.clear()
    calls.clear()  # what a function reaches counts as its code
    Client().replay(run.id, "train")
    calls.clear()
    assert run.resume().steps["train"].state == "reused"
    assert calls == []


def test_a_drifting_result_is_told() -> None:
    run = training()
    trouble["drift"] = 1.5
    assert Client().replay(run.id, "train", record=False).differing == ("model",)


def test_a_reused_step_has_the_inputs_that_it_would_have_taken() -> None:
    first = training(4)
    second = training(4)
    Client().delete_run(first.id)
    assert Client().replay(second.id, "train").outputs["model"].load() == 3.0


def test_one_of_several_attempts() -> None:
    run = failed()
    trouble.clear()
    run = run.resume()
    done = Client().replay(run.id, "train", attempt=1, record=False)
    assert (done.of[2], done.recorded) == (1, {})
    assert Client().replay(run.id, "train", record=False).of[2] == 2
    with pytest.raises(NotFoundError, match="has no attempt 3"):
        Client().replay(run.id, "train", attempt=3)


@pytest.mark.parametrize(
    ("name", "error", "part"),
    [
        ("trian", NotFoundError, "did you mean 'train'?"),
        ("report", UsageError, "never began (train failed): it has no inputs to replay it with"),
    ],
)
def test_steps_that_cannot_be_replayed(name: str, error: type[Exception], part: str) -> None:
    run = failed()
    with pytest.raises(error) as raised:
        Client().replay(run.id, name)
    assert part in str(raised.value)


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def square(x: int, power: int = 2) -> int:
    calls.append(("square", x, power))
    return x**power


@step
def total(values: list[int]) -> int:
    return sum(values)


@pipeline
def mapped(count: int = 3) -> None:
    total(square.map(numbers(count)))


def test_one_call_of_a_mapped_step() -> None:
    run = mapped(4)
    calls.clear()
    for record in (True, False):
        done = Client().replay(run.id, "square[3]", parameters={"power": 3}, record=record)
        assert done.outputs["output"].load() == 27
    assert calls == [("square", 3, 3)] * 2
    assert Client().replay(run.id, "total").outputs["output"].load() == 14
    with pytest.raises(UsageError, match=r"'square' .* was called 4 times") as raised:
        Client().replay(run.id, "square")
    assert "name one call: 'square[0]'" in str(raised.value)


@step
def never(x: int) -> bool:
    return x > 100


@step
def gather(one: int | None, several: list[int]) -> str:
    return f"{one} {several}"


@pipeline
def conditional() -> None:
    count = total(numbers(3))
    skipped = square.with_options(when=never(count))(count)
    gather(skipped, [count, skipped])


def test_inputs_that_were_skipped_on_purpose() -> None:
    run = conditional()
    before = run.steps["gather"].outputs["output"].load()
    for record in (True, False):
        done = Client().replay(run.id, "gather", record=record)
        assert (done.outputs["output"].load(), done.differing) == (before, ())
    with pytest.raises(UsageError, match=r"never began \(never gave False\)"):
        Client().replay(run.id, "square")


def test_inputs_that_are_gone(core_home: Path) -> None:
    run = training(20_000)
    for path in (core_home / "artifacts").rglob("*"):
        if path.is_file():
            os.chmod(path, 0o644)
            path.unlink()
    with pytest.raises(NotFoundError) as raised:
        Client().replay(run.id, "train")
    assert "output 'data' of step 'load': stored output data is missing from file://" in str(raised.value)
    assert "--no-cache load" in str(raised.value)
    assert len(Client().runs()) == 1


def test_a_local_function_cannot_be_found() -> None:
    @step
    def inner() -> int:
        return 1

    @pipeline
    def flow() -> None:
        inner()

    run = flow()
    with pytest.raises(NotFoundError, match="move the function to the top level"):
        Client().replay(run.id, "inner")


PROGRAM = """
import os
from core import step, pipeline, Resources

FACTOR = 2

def helper(x):
    return x * FACTOR

@step
def first(x: int = 1) -> int:
    return helper(x)

@step(environment={"MODE": "deep"})
def second(x: int) -> str:
    return os.environ["MODE"] + str(x)

@pipeline
def flow():
    second(first())

flow()
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: Any) -> Any:
    """Runs a program of which each version is another; gives the newest run, nothing of it being imported here."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "replayed_program.py"

    def run(text: str = PROGRAM) -> Any:
        path.write_text(text)
        python(path)
        return Client().run()

    yield run, path
    sys.modules.pop("replayed_program", None)


def test_a_script_without_a_guard_is_imported_up_to_its_call(program: Any) -> None:
    run, _ = program
    done = Client().replay(run().id, "second", record=False)
    assert (done.outputs["output"].load(), done.changes, done.differing) == ("deep2", (), ())


def test_what_has_changed_since_is_told(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, path = program
    old = run()
    path.write_text(
        PROGRAM.replace("return x * FACTOR", "return x * FACTOR + 1").replace("x: int = 1", "x: int = 1, y: int = 5")
    )
    monkeypatch.setattr("core.replay.changes.client_data", lambda: {**old.environment, "python": "9.9"})
    done = Client().replay(old.id, "first", record=False)
    changes = " ".join(done.changes)
    assert "code of first changed (replayed_program.py:" in changes
    assert "code of helper changed (replayed_program.py:" in changes
    assert f"python {old.environment['python']} -> 9.9" in changes
    assert done.differing == ("output",)
    with Client().workspace as workspace:
        lines = code_changes(old, workspace.tracking.document)
    assert [line.split(" (")[0] for line in lines] == ["code of first changed", "code of helper changed"]


@pytest.mark.parametrize(
    ("old", "new", "error", "part"),
    [
        ("def first(", "def other(", NotFoundError, "'replayed_program:first' any more"),
        ("FACTOR = 2", "1 / 0", CompileError, "could not be imported: it raised ZeroDivisionError"),
        ("FACTOR = 2", "import not_there", NotFoundError, "No module named 'not_there'"),
        ("x: int = 1", "x: int, z: int = 0, *, must: int", ParameterError, "takes a parameter 'must' now"),
    ],
)
def test_code_that_is_not_there_any_more(program: Any, old: str, new: str, error: type[Exception], part: str) -> None:
    run, path = program
    before = run()
    path.write_text(PROGRAM.replace(old, new))
    with pytest.raises(error) as raised:
        Client().replay(before.id, "first")
    assert part in str(raised.value)


def test_a_lost_attempt_names_its_code_too(python: Any, tmp_path: Path) -> None:
    with Client().workspace as workspace:
        run = training()
        started = [e for e in workspace.tracking.events(run.id, "train") if e.kind == EventKind.ATTEMPT_STARTED]
    assert started[0].data["code"] == run.steps["train"].attempts[0].fingerprint["code"]


def test_resources_and_hooks_of_the_step_do_not_hinder_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    @pipeline
    def flow() -> None:
        train.with_options(
            name="fit", timeout=30, resources=Resources(cpus=1), on_success=lambda _: calls.append("hook")
        )([1])

    monkeypatch.setenv("CORE_DISPLAY", "none")
    run = flow()
    calls.clear()
    assert Client().replay(run.id, "fit").differing == ()
    assert "hook" not in calls
