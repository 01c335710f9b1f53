"""Garbage collection: no artifact of a kept run is ever lost, what nobody needs goes, the young stays."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import Client, pipeline, step
from core.cli import main
from core.collect import DAY, find, sweep
from core.model.event import Event, EventKind
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.memory import ManualClock, MemoryTrackingStore
from core.testing.suites.sample import ended, run_id, started

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_700_000_000.0
runs = st.lists(
    st.tuples(
        st.lists(st.integers(0, 9), max_size=4),  # artifacts that it names
        st.floats(0, 100),  # days since it ended
        st.sampled_from(["completed", "failed", "cancelled", None]),
        st.booleans(),  # held
        st.booleans(),  # its artifacts are checkpoints
    ),
    max_size=6,
)


def digest(number: int) -> str:
    return f"blake3:{number:064x}"


def history(shape: Any, ages: list[float]) -> tuple[MemoryTrackingStore, MemoryArtifactStore, set[str]]:
    tracking, store = MemoryTrackingStore(ManualClock(NOW)), MemoryArtifactStore()
    for number, age in enumerate(ages):
        store.blobs[digest(number)] = b"x" * number
        store.times[digest(number)] = NOW - age * DAY
    held = set()
    for index, (names, days, state, keep, checkpoint) in enumerate(shape):
        run, at = f"{index:08d}-0000-7000-8000-000000000000", NOW - days * DAY
        refs = {f"o{name}": {"digest": digest(name), "parts": [digest((name + 1) % 10)]} for name in names}
        events = [Event(run, "", 0, "w", 0, EventKind.RUN_STARTED, at, 1, {"pipeline": "p"})]
        if checkpoint:
            events += [
                Event(run, "s", 1, "w", 1 + n, EventKind.CHECKPOINT, at, 1, {"artifact": ref})
                for n, ref in enumerate(refs.values())
            ]
        else:
            events.append(Event(run, "s", 1, "w", 1, EventKind.ATTEMPT_COMPLETED, at, 1, {"outputs": refs}))
        if state:
            events.append(Event(run, "", 0, "w", 90, EventKind.RUN_ENDED, at, 1, {"state": state}))
        if keep:
            held.add(run)
            events.append(Event(run, "", 0, "h", 0, EventKind.RUN_HELD, at, 0, {"held": True}))
        tracking.append(events)
    return tracking, store, held


@settings(max_examples=300 if os.environ.get("CORE_FAULTS") else 30)
@given(runs, st.lists(st.floats(0, 5), min_size=10, max_size=10), st.none() | st.floats(0, 60), st.integers(0, 2))
def test_no_artifact_of_a_kept_run_is_lost_and_the_rest_goes(
    shape: Any, ages: list[float], older: float | None, keep: int
) -> None:
    tracking, store, held = history(shape, ages)
    before = dict(store.blobs)
    garbage = find(tracking, store, "nowhere", older_than=None if older is None else older * DAY, keep=keep)
    assert dict(store.blobs) == before
    assert sweep(tracking, store, "nowhere", garbage) == []
    left = tracking.runs(limit=None)
    assert held <= {row.id for row in left}
    needed = set()
    for row in left:
        for event in tracking.events(row.id):
            refs = list(event.data.get("outputs", {}).values())
            refs += [event.data["artifact"]] if "artifact" in event.data and row.state != "completed" else []
            needed |= {found for ref in refs for found in (ref["digest"], *ref["parts"])}
    assert needed <= set(store.blobs)
    young = {name for name, at in store.times.items() if at >= NOW - DAY}
    assert set(store.blobs) == needed | young
    again = find(tracking, store, "nowhere")
    assert (again.runs, again.blobs) == ((), ())


@step
def big(x: int) -> str:
    return str(x) * 20_000


@pipeline
def flow(x: int = 1) -> None:
    big(x)


def aged(home: Path) -> None:
    for path in home.rglob("*"):
        if path.is_file() and "core.db" not in path.name:
            os.utime(path, (time.time() - 2 * DAY,) * 2)


def blobs(home: Path) -> int:
    return sum(path.stat().st_size > 10_000 for path in home.rglob("*") if path.is_file() and len(path.name) > 50)


def test_a_deleted_run_leaves_its_artifact_to_be_collected(
    core_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    first, second = flow(1), flow(2)
    Client().delete_run(first.id)
    assert main(["gc", "--yes"]) == 0
    assert blobs(core_home) == 2  # younger than a day
    aged(core_home)
    assert main(["gc"]) == 0
    assert "nothing was deleted" in capsys.readouterr().err
    assert main(["gc", "--dry-run"]) == 0
    assert "artifacts nobody needs  1" in capsys.readouterr().out
    assert main(["gc", "--yes"]) == 0
    assert blobs(core_home) == 1
    assert Client().run(second.id).steps["big"].outputs["output"].load() == "2" * 20_000
    assert flow(1).steps["big"].outputs["output"].load() == "1" * 20_000


def test_a_held_run_outlives_its_time(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    ids = [flow(number).id for number in range(3)]
    assert main(["runs", "hold", ids[0], "--reason", "the paper"]) == 0
    assert main(["gc", "--older-than", "0d", "--yes"]) == 0
    assert [row.id for row in Client().runs()] == [ids[2], ids[0]]
    assert main(["runs", "release", ids[0]]) == 0
    assert main(["gc", "--older-than", "0d", "--yes"]) == 0
    assert [row.id for row in Client().runs()] == [ids[2]]
    assert main(["gc", "--older-than", "soon"]) == 2
    assert "30d" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 30 * DAY), ("12h", DAY / 2), ("2w", 14 * DAY), ("90m", 5400.0), ("1.5D", 1.5 * DAY)]
)
def test_runs_that_ended_longer_ago_are_forgotten_and_no_others(text: str, seconds: float) -> None:
    tracking, now = Client().workspace.tracking, time.time()
    ages = [400 * DAY, seconds + 60, seconds - 60, 0.0]
    for number, age in enumerate(ages, 1):
        begun = now - max(age, 300 * DAY)  # it counts from the end
        tracking.append([started(run_id(number), at=begun), ended(run_id(number), at=now - age)])
    for keep, left in ((3, [4, 3, 2]), (1, [4, 3])):
        assert main(["gc", "--older-than", text, "--keep", str(keep), "--yes"]) == 0
        assert [row.id for row in Client().runs()] == [run_id(number) for number in left]


@pytest.mark.parametrize("text", ["30", "d", "", "30s", "-1d", "nand", "infd", "1e999d", "3 months"])
def test_what_is_no_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", f"--older-than={text}", "--yes"]) == 2
    assert "such as 30d" in capsys.readouterr().err


def test_a_run_at_work_still_reuses_what_a_forgotten_run_made(core_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    collect = ["gc", "--older-than", "0d", "--keep", "0", "--yes"]

    @step(cache=False)
    def tidy() -> int:
        return main(collect)

    @pipeline
    def later() -> None:
        big.with_options(after=tidy())(1)

    flow(1)
    aged(core_home)
    run = later()
    assert [row.id for row in Client().runs()] == [run.id]
    assert run.steps["big"].state == "reused"
    assert run.steps["big"].outputs["output"].load() == "1" * 20_000
    assert main(collect) == 0
    assert blobs(core_home) == 0


def test_half_written_files_older_than_a_day_go(core_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DISPLAY", "none")
    flow(1)
    store = Client().workspace.stack.artifact_store
    upload = store.begin()
    upload.write(b"half")
    assert main(["gc", "--yes"]) == 0
    assert store.tidy(time.time() + 1, dry_run=True) == 1
    aged(core_home)
    assert main(["gc", "--yes"]) == 0
    assert store.tidy(time.time() + 1, dry_run=True) == 0
    upload.abort()
