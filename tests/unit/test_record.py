"""Recording: ids, buffering, a store that is away, leases."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from core.errors import LeaseLostError, StoreError
from core.model.event import EventKind
from core.record import Recorder, replay, run_id
from core.testing.memory import MemoryTrackingStore

if TYPE_CHECKING:
    from pathlib import Path


class Away(MemoryTrackingStore):
    """A store that can be away."""

    away = False

    def append(self, *args: Any, **kwargs: Any) -> None:
        if self.away:
            raise StoreError("the store is away", "wait")
        super().append(*args, **kwargs)


def test_run_ids_are_uuid7_and_sort_by_time() -> None:
    first = run_id()
    time.sleep(0.002)
    second = run_id()
    assert UUID(first).version == 7
    assert UUID(first).variant == "specified in RFC 4122"
    assert first < second


def test_events_are_counted_and_flushed() -> None:
    store = MemoryTrackingStore()
    with Recorder(store, "r", actor="me@here") as recorder:
        recorder.emit(EventKind.ATTEMPT_STARTED, "a", 1)
        assert store.events("r") == []
        recorder.flush()
        recorder.emit(EventKind.ATTEMPT_COMPLETED, "a", 1, outputs={})
        recorder.finish()
    events = store.events("r")
    assert [(e.seq, e.epoch, e.actor) for e in events] == [(0, 1, "me@here"), (1, 1, "me@here")]


def test_a_store_that_is_away_for_a_while_loses_nothing() -> None:
    store = Away()
    with Recorder(store, "r") as recorder:
        recorder.emit(EventKind.RUN_STARTED, pipeline="p", stack="s", graph="g")
        recorder.flush()
        store.away = True
        recorder.emit(EventKind.ATTEMPT_STARTED, "a", 1)
        recorder.flush()
        recorder.flush()
        store.away = False
        recorder.emit(EventKind.ATTEMPT_COMPLETED, "a", 1, outputs={})
        recorder.finish()
    assert [e.kind for e in store.events("r")] == ["run_started", "attempt_started", "attempt_completed"]


def test_a_store_that_stays_away_leaves_a_file_to_replay(tmp_path: Path) -> None:
    store = Away()
    spill = str(tmp_path / "pending")
    with Recorder(store, "r", spill=spill) as recorder:
        recorder.emit(EventKind.RUN_STARTED, pipeline="p", stack="s", graph="g")
        recorder.flush()
        store.away = True
        recorder.emit(EventKind.RUN_ENDED, state="completed", error="")
        with pytest.raises(StoreError, match="recorded by the next run"):
            recorder.finish()
        store.away = False
    assert replay(spill, store) == 1
    assert [e.kind for e in store.events("r")] == ["run_started", "run_ended"]
    assert os.listdir(spill) == []
    assert replay(spill, store) == 0


def test_nothing_runs_when_the_beginning_cannot_be_recorded() -> None:
    store = Away()
    store.away = True
    with Recorder(store, "r") as recorder:
        recorder.emit(EventKind.RUN_STARTED, pipeline="p", stack="s", graph="g")
        with pytest.raises(StoreError):
            recorder.flush()


def test_a_lost_lease_refuses_what_comes_late() -> None:
    now = [1000.0]
    store = MemoryTrackingStore(clock=lambda: now[0])
    with Recorder(store, "r") as recorder:
        now[0] += 100
        assert store.acquire("r", "another", 30).epoch == 2
        recorder.emit(EventKind.ATTEMPT_COMPLETED, "a", 1, outputs={})
        with pytest.raises(LeaseLostError):
            recorder.flush()
    assert store.events("r") == []


def test_an_observer_that_raises_is_set_aside(capfd: pytest.CaptureFixture[str]) -> None:
    class Bad:
        def event(self, event: object) -> None:
            raise RuntimeError("no")

    with Recorder(MemoryTrackingStore(), "r", observers=[Bad()]) as recorder:  # type: ignore[list-item]
        recorder.emit(EventKind.ATTEMPT_STARTED, "a", 1)
        recorder.emit(EventKind.ATTEMPT_COMPLETED, "a", 1, outputs={})
        recorder.finish()
    assert capfd.readouterr().err.count("Bad failed and is set aside") == 1


def test_a_spoilt_file_of_events_stands_in_nobodys_way(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.json").write_text('{"events": [["r", "", 0')
    assert replay(str(tmp_path), MemoryTrackingStore()) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["cut.json.broken"]
    assert "can't be read" in capfd.readouterr().err


def test_no_event_is_lost_between_two_threads() -> None:
    store = MemoryTrackingStore()
    with Recorder(store, "r") as recorder:
        recorder.emit(EventKind.RUN_STARTED, pipeline="p", stack="s", graph="g")
        recorder.flush()
        recorder._group = recorder._longest = 1e-6
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        other = threading.Thread(target=lambda: [recorder.flush() for _ in range(3_000)])
        other.start()
        for number in range(3_000):
            recorder.document(str(number), "text")
            recorder.emit(EventKind.METADATA, "a", 1, values={})
        other.join()
        sys.setswitchinterval(before)
        recorder.finish()
    assert [event.seq for event in store.events("r")] == list(range(3_001))
    assert store.document("2999") == "text"
