"""Pipelines whose graph is known only when they run: mapped, nested, empty, too long, conditional, changed, resumed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from core import RunFailed, pipeline, step
from core.errors import ExpansionError
from core.model.spec import RunOptions
from core.model.states import RunState

if TYPE_CHECKING:
    from core.view import RunView

calls: deque[str] = deque()  # no constant to the cache key, as a list would be


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    calls.clear()


def states(run: RunView) -> dict[str, str]:
    return {step.name: str(step.state) for step in run.steps.values()}


def value(run: RunView, name: str) -> Any:
    return run.steps[name].outputs["output"].load()


@step
def list_files(folder: str) -> list[str]:
    return folder.split()


@step
def clean(file: str, strength: int = 1) -> float:
    calls.append(file)
    if file == "bad":
        raise ValueError(file)
    return float(len(file) * strength)


@step
def total(parts: list[float]) -> float:
    return sum(parts)


@step
def good(x: float) -> bool:
    return x > 4


@step
def deploy(x: float) -> str:
    return f"at {x}"


@step
def report(url: str | None) -> str:
    return f"deployed {url}"


@step
def announce(url: str) -> str:
    return url


@step
def grid(rows: list[list[int]]) -> list[list[int]]:
    return rows


@step
def square(x: int) -> int:
    return x * x


@step
def row_sum(parts: list[int]) -> int:
    return sum(parts)


@step
def whole(parts: list[list[int]]) -> str:
    return str(parts)


@pipeline
def nightly(folder: str = "a bb") -> None:
    parts = clean.map(list_files(folder), strength=2)
    result = total(parts)
    url = deploy.with_options(when=good(result))(result)
    report(url)
    announce(url)


def test_as_many_calls_as_there_are_files() -> None:
    run = nightly()
    assert list(run.steps) == ["list_files", "clean[0]", "clean[1]", "total", "good", "deploy", "report", "announce"]
    assert set(states(run).values()) == {"completed"}
    assert value(run, "total") == 6.0
    assert value(run, "report") == "deployed at 6.0"
    assert list(run.steps["list_files"].outputs) == ["output"]
    assert run.steps["clean[1]"].attempts[0].inputs["file"][0][:2] == ["list_files", "output[1]"]


def test_what_a_condition_skips_is_none_or_skipped_too() -> None:
    run = nightly("a")
    assert run.state is RunState.COMPLETED
    assert states(run) | {"deploy": "skipped", "report": "completed", "announce": "skipped"} == states(run)
    assert value(run, "report") == "deployed None"
    assert run.steps["deploy"].reason == "good gave False"
    assert run.steps["announce"].reason == "deploy was skipped"
    assert states(nightly("a"))["report"] == "reused"


def test_side_by_side() -> None:
    @pipeline
    def flow(rows: list[list[int]]) -> None:
        sums = row_sum.map(square.map(grid(rows)))
        row_sum.with_options(name="all")(sums)

    run = flow.run({"rows": [[1, 2], [], [3]] * 5}, RunOptions(workers=2))
    assert run.state is RunState.COMPLETED
    assert value(run, "all") == 14 * 5
    assert value(run, "row_sum[12]") == 5


def test_nothing_to_map_over() -> None:
    run = nightly("")
    assert list(run.steps)[:2] == ["list_files", "total"]
    assert value(run, "total") == 0


def test_a_changed_item_runs_alone() -> None:
    nightly("a bb ccc")
    calls.clear()
    run = nightly("a XX ccc")
    assert list(calls) == ["XX"]
    assert [states(run)[f"clean[{index}]"] for index in range(3)] == ["reused", "completed", "reused"]
    assert run.steps["clean[1]"].reason == "input output[1] of step list_files changed"
    assert states(nightly("ccc a"))["clean[0]"] == "reused"


def test_lists_in_lists_and_reducing_steps() -> None:
    @pipeline
    def flow(rows: list[list[int]]) -> None:
        squares = square.map(grid(rows))
        sums = row_sum.map(squares)
        row_sum.with_options(name="all")(sums)
        whole(squares)
        square.with_options(name="again").map(squares)

    run = flow([[1, 2], [], [3]])
    assert value(run, "whole") == "[[1, 4], [], [9]]"
    assert [value(run, f"row_sum[{index}]") for index in range(3)] == [5, 0, 9]
    assert value(run, "all") == 14
    assert value(run, "again[0][1]") == 16
    assert run.state is RunState.COMPLETED


def test_more_calls_than_allowed() -> None:
    @pipeline
    def flow(folder: str, limit: int) -> None:
        total(clean.with_options(map_limit=limit).map(list_files(folder)))

    with pytest.raises(RunFailed, match="step 'clean'") as caught:
        flow("a b c", 2)
    cause = caught.value.__cause__
    assert isinstance(cause, ExpansionError)
    assert "'clean' would be called 3 times, once for each item of 'list_files', but its map_limit is 2" in str(cause)
    assert states(caught.value.run) == {"list_files": "completed", "clean": "failed", "total": "skipped"}
    assert "map_limit" in caught.value.run.steps["clean"].error["message"]  # type: ignore[index]
    assert not calls
    assert states(flow("a b c", 3))["list_files"] == "reused"


def test_each_call_with_a_condition_of_its_own() -> None:
    @pipeline
    def flow(folder: str) -> None:
        parts = clean.map(list_files(folder))
        urls = deploy.with_options(when=good.map(parts)).map(parts)
        told = announce.map(urls)
        report.map(urls)
        join(told)

    @step
    def join(urls: list[str]) -> str:
        return ", ".join(urls)

    run = flow("long-one b longer-one")
    assert value(run, "join") == "at 8.0, at 10.0"
    assert states(run) | {"deploy[1]": "skipped", "announce[1]": "skipped", "report[1]": "completed"} == states(run)
    assert run.state is RunState.COMPLETED


def test_a_condition_for_all_calls() -> None:
    @step
    def count(urls: list[str] | None) -> str:
        return str(urls)

    @pipeline
    def flow(folder: str, x: float) -> None:
        parts = clean.map(list_files(folder))
        urls = deploy.with_options(when=good(x)).map(parts)
        announce.map(urls)
        count(urls)

    run = flow("a b", 1.0)
    assert states(run) | {"deploy": "skipped", "announce": "skipped"} == states(run)
    assert value(run, "count") == "None"
    assert value(flow("a b", 9.0), "count") == "['at 1.0', 'at 1.0']"


def test_one_call_that_fails_keeps_the_others() -> None:
    @pipeline
    def flow(folder: str) -> None:
        parts = clean.map(list_files(folder))
        total(deploy_size.map(parts))

    @step
    def deploy_size(x: float) -> float:
        return x

    with pytest.raises(RunFailed, match=r"step 'clean\[1\]'") as caught:
        flow("a bad c")
    found = states(caught.value.run)
    assert [found[f"clean[{index}]"] for index in range(3)] == ["completed", "failed", "completed"]
    assert [found[f"deploy_size[{index}]"] for index in range(3)] == ["completed", "skipped", "completed"]
    assert found["total"] == "skipped"


@pytest.mark.parametrize("first", [False, True])
def test_lists_of_different_lengths(first: bool) -> None:  # noqa: FBT001
    @pipeline
    def flow(folder: str) -> None:
        others = list_files("a b c") if first else None
        parts = clean.map(list_files(folder))
        both.map(parts, others if first else list_files("a b c"))

    @step
    def both(x: float, name: str) -> str:
        return name

    with pytest.raises(RunFailed, match="step 'both'") as caught:
        flow("a b")
    assert "different lengths: 'x' has 2, 'name' has 3" in str(caught.value.__cause__)
    found = states(caught.value.run)
    assert (found["both"], found["clean[0]"], found["clean[1]"]) == ("failed", "completed", "completed")


@step
def careful(file: str) -> str:
    calls.append(file)
    if file in broken:
        raise ValueError(file)
    return file


@step
def join(parts: list[str]) -> str:
    return "".join(parts)


broken: dict[str, bool] = {}


@pipeline
def fragile(folder: str) -> None:
    join(careful.map(list_files(folder)))


def test_a_run_goes_on_with_the_calls_that_it_became() -> None:
    broken["b"] = True
    with pytest.raises(RunFailed) as caught:
        fragile("a b c")
    assert list(calls) == ["a", "b", "c"]
    broken.clear()
    calls.clear()
    run = caught.value.run.resume()
    assert run.id == caught.value.run.id
    assert run.state is RunState.COMPLETED
    assert list(calls) == ["b"]
    assert value(run, "join") == "abc"
    assert [str(attempt.state) for attempt in run.steps["careful[1]"].attempts] == ["failed", "completed"]
