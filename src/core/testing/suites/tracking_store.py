"""Conformance suite of the tracking store port.

A plugin's test module needs no more than a subclass whose name starts with `Test`:
`class TestMine(TrackingStoreSuite)` with a method `make_store(self, folder)` that returns a new, empty store.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from core.errors import EventConflictError, NotFoundError
from core.model.event import TERMINAL, EventKind
from core.testing.suites.leases import LeaseSuite
from core.testing.suites.sample import HOSTILE, answers_of, completed, ended, event, history, resumed, run_id, started

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.ports.tracking_store import TrackingStore


class TrackingStoreSuite(LeaseSuite):
    """Subclass it as `Test...` and say how to make your store; `wait` may move a clock instead of sleeping."""

    short: ClassVar[float] = 0.3
    """Seconds of a lease that a test waits for; longer than two listings of runs take."""

    # events

    def test_events_come_back_as_they_were(self, store: TrackingStore) -> None:
        told = event(
            "attempt_started",
            step="load",
            attempt=1,
            seq=3,
            at=123.456789012345,
            epoch=7,
            project="p",
            actor="me@here",
            version=9,
        )
        store.append([told._replace(data={"a": [1, 2.5, None, True, {"ü": "\0\ud800"}]})])
        assert store.events(run_id(1)) == [told._replace(data={"a": [1, 2.5, None, True, {"ü": "\0\ud800"}]})]

    def test_events_of_an_unknown_run_are_none(self, store: TrackingStore) -> None:
        assert store.events("nobody") == []
        store.append([])
        assert store.events(run_id(1), "nothing") == []

    def test_events_are_ordered_by_writer_and_seq(self, store: TrackingStore) -> None:
        written = [
            event("metadata", step=f"s{9 - seq}", attempt=1, seq=seq, writer=writer, values={})
            for writer in "ba"
            for seq in (10, 2, 1)
        ]
        store.append(written)
        assert [(told.writer, told.seq) for told in store.events(run_id(1))] == [
            (w, s) for w in "ab" for s in (1, 2, 10)
        ]

    def test_events_of_one_step(self, store: TrackingStore) -> None:
        store.append([started(), completed(step="a"), completed(step="b"), completed(run=run_id(2), step="a")])
        assert [told.step for told in store.events(run_id(1), "a")] == ["a"]
        assert [told.kind for told in store.events(run_id(1), "")] == ["run_started"]

    def test_unknown_kinds_and_fields_are_kept(self, store: TrackingStore) -> None:
        store.append(
            [event("of_the_future", step="x", attempt=1, surprise={"deep": [1]}, version=99), started(surprise=1)]
        )
        by_kind = {told.kind: told for told in store.events(run_id(1))}
        assert by_kind["of_the_future"].data == {"surprise": {"deep": [1]}}
        assert by_kind["of_the_future"].version == 99
        assert by_kind["run_started"].data["surprise"] == 1

    def test_the_same_event_twice_is_one(self, store: TrackingStore) -> None:
        store.append([completed(), completed()])
        store.append([completed()])
        shuffled = completed()
        store.append([shuffled._replace(data=dict(reversed(shuffled.data.items())))])
        assert len(store.events(run_id(1))) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": "metadata"},
            {"at": 7.0},
            {"epoch": 2},
            {"data": {}},
            {"project": "p"},
            {"actor": "x"},
            {"version": 2},
        ],
    )
    def test_the_same_key_with_other_content_is_refused(self, store: TrackingStore, change: dict[str, Any]) -> None:
        store.append([completed()])
        with pytest.raises(EventConflictError):
            store.append([started(), completed()._replace(**change)], documents={"d": "text"})
        assert store.events(run_id(1)) == [completed()]
        with pytest.raises(NotFoundError):
            store.document("d")

    def test_a_conflict_inside_one_call_is_refused(self, store: TrackingStore) -> None:
        with pytest.raises(EventConflictError):
            store.append([completed(), completed(at=1.0)])
        assert store.events(run_id(1)) == []

    def test_every_part_of_the_key_counts(self, store: TrackingStore) -> None:
        base = completed()
        others: list[dict[str, Any]] = [{"run": run_id(2)}, {"step": "b"}, {"attempt": 2}, {"writer": "v"}, {"seq": 5}]
        store.append([base, *(base._replace(**other) for other in others)])
        assert len(store.events(run_id(1))) == 5
        assert len(store.events(run_id(2))) == 1

    def test_documents(self, store: TrackingStore) -> None:
        store.append([], documents={"d": "text ü \u202e", "e": ""})
        store.append([started()], documents={"d": "text ü \u202e"})
        assert store.document("d") == "text ü \u202e"
        assert store.document("e") == ""
        with pytest.raises(NotFoundError):
            store.document("f")

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_names(self, store: TrackingStore, name: str) -> None:
        store.append(
            [
                started(pipeline=name, stack=name, project=name, actor=name),
                completed(name, step=name, pipeline=name, project=name),
            ]
        )
        (row,) = store.runs(name, pipeline=name)
        assert (row.pipeline, row.stack, row.project, row.actor) == (name,) * 4
        assert store.events(run_id(1), name)[0].step == name
        assert store.cached([name], name)[name].step == name
        assert store.latest(name, name, name) is not None
        assert store.acquire(name, name, 5).name == name
        assert store.runs(name + "x") == []

    # runs

    def test_a_run_is_lost_unless_its_lease_lives(self, store: TrackingStore) -> None:
        store.append([started()])
        assert [row.state for row in store.runs()] == ["lost"]
        lease = store.acquire(run_id(1), "me", self.short)
        assert [row.state for row in store.runs()] == ["running"]
        assert [len(store.runs(state=state)) for state in ("running", "lost", "completed")] == [1, 0, 0]
        self.wait(store, self.short + 0.05)
        assert [len(store.runs(state=state)) for state in ("running", "lost", "completed")] == [0, 1, 0]
        store.append([ended(state="failed")], lease)
        (row,) = store.runs(state="failed")
        assert (row.state, row.started_at, row.ended_at) == ("failed", 100.0, 199.0)

    def test_a_start_in_a_newer_epoch_runs_again(self, store: TrackingStore) -> None:
        store.append([started(), ended(state="failed")])
        store.append([started(epoch=2, writer="x", stack="cloud")])
        store.acquire(run_id(1), "me", 60)
        (row,) = store.runs()
        assert (row.state, row.ended_at, row.started_at, row.stack) == ("running", None, 100.0, "cloud")
        store.append([ended(epoch=2, writer="x")])
        store.append([ended(epoch=1, writer="zombie", seq=1, state="failed")])
        assert [row.state for row in store.runs()] == ["completed"]

    def test_a_resumed_run_runs_again_and_ends_anew(self, store: TrackingStore) -> None:
        store.append([started(), ended(state="failed")])
        store.acquire(run_id(1), "me", 60)
        store.append([resumed(stack="cloud", pipeline="other", project="p", actor="you", at=300.0)])
        (row,) = store.runs(state="running")
        assert (row.ended_at, row.started_at, row.pipeline, row.stack) == (None, 100.0, "training", "default")
        assert (row.project, row.actor) == ("default", "")
        store.append([ended(seq=0, writer="zombie", state="failed")])
        assert [row.state for row in store.runs()] == ["running"]
        store.append([ended(epoch=2, writer="x", seq=5)])
        (row,) = store.runs(state="completed")
        assert row.ended_at == 105.0

    def test_a_run_whose_start_comes_after_its_resume(self, store: TrackingStore) -> None:
        store.append([resumed()])
        assert store.runs() == []
        store.append([ended(epoch=2, writer="x")])
        store.append([started(), ended(state="failed")])
        assert [row.state for row in store.runs()] == ["completed"]

    @pytest.mark.parametrize("kind", [EventKind.CANCEL_REQUESTED, EventKind.RUN_HELD, "of_the_future"])
    def test_wishes_of_others_change_no_state(self, store: TrackingStore, kind: str) -> None:
        wish = event(kind, writer="cli", epoch=0, reason="why", held=True, at=1.0)
        store.append([wish])
        assert store.runs() == []
        store.append([started(), ended()])
        (row,) = store.runs(state="completed")
        store.append([wish, wish._replace(seq=1, at=500.0)])
        assert store.runs() == [row]
        store.append([resumed()])
        store.acquire(run_id(1), "me", 60)
        assert [row.state for row in store.runs()] == ["running"]
        assert [told.kind for told in store.events(run_id(1), "") if told.epoch == 0] == [kind, kind]

    def test_the_lowest_seq_of_an_epoch_counts(self, store: TrackingStore) -> None:
        store.append(
            [
                started(),
                ended(seq=8, state="cancelled"),
                ended(seq=7, state="failed"),
                ended(seq=7, writer="v", state="completed"),
            ]
        )
        assert [row.state for row in store.runs()] == ["completed"]  # of equal ones the first writer

    def test_runs_come_newest_first_and_in_pages(self, store: TrackingStore) -> None:
        order = list(range(1, 121))
        order.sort(key=lambda number: number * 37 % 121)
        store.append([told for number in order for told in (started(run_id(number)), ended(run_id(number)))])
        ids = [run_id(number) for number in range(120, 0, -1)]
        assert [row.id for row in store.runs(limit=None)] == ids
        assert [row.id for row in store.runs()] == ids[:50]
        assert [row.id for row in store.runs(before=ids[49])] == ids[50:100]
        assert [row.id for row in store.runs(before=ids[99], limit=3)] == ids[100:103]
        assert store.runs(before=ids[-1]) == []
        assert store.runs(limit=0) == []

    def test_runs_are_filtered(self, store: TrackingStore) -> None:
        store.append(
            [
                started(run_id(1)),
                started(run_id(2), project="p"),
                started(run_id(3), pipeline="other"),
                ended(run_id(3)),
            ]
        )
        assert [row.id for row in store.runs("p")] == [run_id(2)]
        assert [row.id for row in store.runs(pipeline="training")] == [run_id(2), run_id(1)]
        assert [row.id for row in store.runs(state="completed")] == [run_id(3)]
        assert [row.id for row in store.runs("default", pipeline="training", state="lost", before=run_id(3))] == [
            run_id(1)
        ]
        assert store.runs("p", state="completed") == []

    def test_find_run(self, store: TrackingStore) -> None:
        store.append([started(run_id(number), project="p" if number == 31 else "default") for number in range(1, 32)])
        assert store.find_run(run_id(7)) == [run_id(7)]
        assert store.find_run(run_id(7)[-2:]) == [run_id(7)]
        assert store.find_run("1f") == [run_id(31)]
        assert store.find_run("1f", "default") == []
        assert store.find_run("0197f") == [run_id(number) for number in range(31, 21, -1)]
        assert store.find_run("%") == []
        assert store.find_run(run_id(1) + "0") == []

    def test_delete_run(self, store: TrackingStore) -> None:
        store.append([started(), completed("shared", at=2.0), completed("own", step="b")])
        store.append([started(run_id(2)), completed("shared", run_id(2), at=1.0)])
        assert store.cached(["shared"])["shared"].run == run_id(1)
        store.delete_run(run_id(1))
        assert store.events(run_id(1)) == []
        assert [row.id for row in store.runs()] == [run_id(2)]
        assert {key: result.run for key, result in store.cached(["shared", "own"]).items()} == {"shared": run_id(2)}
        assert (store.recorded("blake3:own"), store.recorded("blake3:shared")) == (False, True)
        with pytest.raises(NotFoundError):
            store.delete_run(run_id(1))
        store.delete_run(run_id(2))  # the last that was written: an index must not think it knows what comes next
        store.append([started(run_id(3)), completed("later", run_id(3))])
        assert "later" in store.cached(["later"])

    # results

    def test_cached_tells_the_newest_of_each_key(self, store: TrackingStore) -> None:
        store.append(
            [
                completed("a", at=5.0),
                completed("a", run_id(2), at=9.0),
                completed("a", run_id(3), at=7.0),
                completed("b", step="b"),
            ]
        )
        found = store.cached(["a", "b", "c", "a"])
        assert sorted(found) == ["a", "b"]
        assert (found["a"].run, found["a"].step, found["a"].attempt, found["a"].at) == (run_id(2), "load", 1, 9.0)
        reference = found["a"].outputs["output"]
        assert (reference.digest, reference.inline, reference.parts) == ("blake3:a", b"12", ("part:a",))
        assert store.cached([]) == {}
        assert store.cached(["a"], "elsewhere") == {}

    def test_of_results_of_one_moment_the_greater_run_counts(self, store: TrackingStore) -> None:
        store.append([completed("a", run_id(number), at=5.0) for number in (2, 3, 1)])
        assert store.cached(["a"])["a"].run == run_id(3)
        latest = store.latest("training", "load")
        assert latest is not None
        assert latest.run == run_id(3)

    @pytest.mark.parametrize("kind", sorted(set(TERMINAL) - {EventKind.ATTEMPT_COMPLETED, EventKind.STEP_REUSED}))
    def test_an_outranked_completion_is_no_result(self, store: TrackingStore, kind: str) -> None:
        failed = event(kind, step="load", attempt=1, seq=1, writer="new", epoch=2, error={})
        store.append([completed("a", at=1.0, run=run_id(0)), completed("a", at=5.0)])
        assert store.cached(["a"])["a"].run == run_id(1)
        store.append([failed])
        assert store.cached(["a"])["a"].run == run_id(0)
        latest = store.latest("training", "load")
        assert latest is not None
        assert latest.run == run_id(0)

    def test_only_completions_are_cached(self, store: TrackingStore) -> None:
        store.append(
            [
                event(kind, step=kind, attempt=1, key="a", outputs={})
                for kind in EventKind
                if kind != EventKind.ATTEMPT_COMPLETED
            ]
        )
        store.append([completed("", step="z"), completed("x", step="y")._replace(data={"key": ["a"], "outputs": {}})])
        assert store.cached(["a", ""]) == {}

    def test_latest_tells_the_fingerprint(self, store: TrackingStore) -> None:
        assert store.latest("training", "load") is None
        store.append(
            [completed("a", at=1.0), completed("b", run_id(2), at=2.0), completed("c", run_id(3), at=3.0, step="other")]
        )
        latest = store.latest("training", "load")
        assert latest is not None
        assert (latest.run, latest.fingerprint) == (run_id(2), {"code": "b"})
        assert store.latest("inference", "load") is None
        assert store.latest("training", "load", "elsewhere") is None

    def test_latest_counts_reuses_and_follows_documents(self, store: TrackingStore) -> None:
        reused = event(
            EventKind.STEP_REUSED,
            run_id(2),
            "load",
            1,
            1,
            pipeline="training",
            fingerprint="digest",
            key="a",
            outputs={},
            at=999.0,
        )
        store.append([completed("a"), reused], documents={"digest": '{"code":"z"}'})
        latest = store.latest("training", "load")
        assert latest is not None
        assert (latest.run, latest.fingerprint) == (run_id(2), {"code": "z"})
        assert store.cached(["a"])["a"].run == run_id(1)

    def test_recorded(self, store: TrackingStore) -> None:
        started_only = event(
            EventKind.ATTEMPT_STARTED, step="load", attempt=1, inputs={"a": [["make", "output", "blake3:input"]]}
        )
        store.append([started_only, completed("a")])
        assert [store.recorded(digest) for digest in ("blake3:a", "part:a", "blake3:input", "")] == [
            True,
            True,
            False,
            False,
        ]
        output = {"digest": "blake3:r", "size": 0, "type": "t:t", "materializer": "json"}
        store.append([event(EventKind.STEP_REUSED, step="other", attempt=1, outputs={"output": output})])
        assert store.recorded("blake3:r")

    @pytest.mark.parametrize("seed", range(12))
    def test_the_order_of_arrival_does_not_matter(self, fresh: Callable[[], TrackingStore], seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - not for secrets
        events = history(chance)
        answers = []
        for _ in range(3):
            store, order = fresh(), events + chance.sample(events, len(events) // 3)
            chance.shuffle(order)
            while order:
                size = chance.randint(1, 6)
                store.append(order[:size])
                del order[:size]
                if chance.random() < 0.3:  # an index that fills on demand must not fix what it saw too early
                    store.cached(["k0"])
            answers.append(answers_of(store))
        assert answers[0] == answers[1] == answers[2]
