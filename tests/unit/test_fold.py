"""Random histories of a run, delivered twice, late, in any order: whoever reads them finds what really happened.

A history is made by owners that take over from each other: each begins or resumes, starts and ends attempts, and ends the
run, or dies, or is paused and goes on although another owner is at work. `truth` keeps what happened by plain
bookkeeping; views, SQLite and the memory double must say the same, from the events alone, as soon as all have arrived,
and the same as each other at any moment before.
"""

import os
import random
from contextlib import closing

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.model.event import TERMINAL, Event, EventKind
from core.model.graph import Graph, Node
from core.testing.memory import ManualClock, MemoryTrackingStore
from core.testing.suites.sample import completed
from core.view import RunView, Source

STEPS = "abc"
GRAPH = Graph("p", tuple(Node(name, f"m:{name}", {}, {}, ("output",)) for name in STEPS))
SOURCE = Source(lambda ref: ref, lambda *_: "", lambda _: GRAPH, lambda *_: "")
SECONDS = 30.0
FAULTS = os.environ.get("CORE_FAULTS") == "1"
steps, indexes = st.sampled_from(STEPS), st.integers(0, 3)


class Owner:
    """A process that owns the run, or thinks so."""

    def __init__(self, number, epoch):
        self.name, self.epoch = f"w{number}", epoch
        self.seq = 0
        self.open = {}
        self.ended = False


class History(RuleBasedStateMachine):
    """The rules make a history; `deliver` brings parts of it to the stores."""

    sqlite: SqliteTrackingStore
    clock: ManualClock
    runs = 0

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed):
        History.runs += 1
        self.chance = random.Random(seed)  # noqa: S311 - not for secrets
        self.run, self.project = f"run-{History.runs:09}", f"project {History.runs}"
        self.memory = MemoryTrackingStore(self.clock)
        self.stores = (self.sqlite, self.memory)
        self.history, self.waiting, self.arrived = [], [], []
        self.owners, self.epoch = [], 0
        self.truth = {"state": "running", "ended_at": None, "steps": {name: {} for name in STEPS}}
        self.take_over()
        self.emit(self.owner, EventKind.RUN_STARTED, pipeline=self.project, graph=GRAPH.digest, stack="s")

    # what happens

    @property
    def owner(self):
        return self.owners[-1]

    def emit(self, owner, kind, step="", attempt=0, **data):
        at = self.clock()
        self.clock.advance(0.01)
        self.note(Event(self.run, step, attempt, owner.name, owner.seq, kind, at, owner.epoch, data, self.project))
        owner.seq += 1
        return at

    def note(self, event):
        self.history.append(event)
        self.waiting.append(event)

    def take_over(self):
        name = f"w{len(self.owners)}"
        (lease, other) = (store.acquire(self.run, name, SECONDS) for store in self.stores)
        assert lease[:3] == other[:3]
        self.lease = lease
        self.epoch = lease.epoch
        self.owners.append(Owner(len(self.owners), lease.epoch))

    def open_attempts_are_lost(self):
        for attempts in self.truth["steps"].values():
            for number, (epoch, state) in attempts.items():
                if state == "running":
                    attempts[number] = (epoch, "lost")

    @property
    def at_work(self):
        return self.truth["state"] == "running"

    def take_number(self, step):
        numbers = [event.attempt for event in self.arrived if event.step == step]
        mine = [event.attempt for event in self.history if event.step == step and event.epoch == self.epoch]
        number = max(numbers + mine, default=0) + 1  # the owner has seen what had arrived, and what it did itself
        self.owner.open[step] = number
        self.truth["steps"][step][number] = (self.epoch, "running")
        return number

    @precondition(lambda self: self.at_work)
    @rule(step=steps)
    def an_attempt_starts(self, step):
        if step not in self.owner.open:
            self.emit(self.owner, EventKind.ATTEMPT_STARTED, step, self.take_number(step), reason=self.owner.name)

    @rule(step=steps, kind=st.sampled_from(list(TERMINAL)), who=indexes)
    def an_attempt_ends(self, step, kind, who):
        """Of the owner, or of an earlier one that does not know that another is at work."""
        owner = self.owners[-1 - who % len(self.owners)]
        if step not in owner.open or owner.ended:
            return
        number = owner.open.pop(step)
        data = completed(f"{self.run} {step}", pipeline=self.project).data
        self.emit(owner, kind, step, number, **data)
        if self.truth["steps"][step][number][0] == owner.epoch:
            self.truth["steps"][step][number] = (owner.epoch, str(TERMINAL[kind]))

    @precondition(lambda self: self.at_work)
    @rule(step=steps, kind=st.sampled_from([EventKind.STEP_REUSED, EventKind.STEP_SKIPPED]))
    def a_step_is_done_without_an_attempt(self, step, kind):
        if step not in self.owner.open:
            self.take_number(step)
            self.an_attempt_ends(step, kind, 0)

    @rule(step=steps, who=indexes)
    def something_is_told(self, step, who):
        owner = self.owners[-1 - who % len(self.owners)]
        if step in owner.open:
            self.emit(owner, EventKind.METADATA, step, owner.open[step], values={f"m{owner.seq % 3}": owner.seq})

    @precondition(lambda self: self.at_work)
    @rule(state=st.sampled_from(["completed", "failed", "cancelled"]))
    def the_run_ends(self, state):
        at = self.emit(self.owner, EventKind.RUN_ENDED, state=state, error="")
        self.owner.ended = True
        for store in self.stores:
            store.release(self.lease)
        self.truth |= {"state": state, "ended_at": at}
        self.open_attempts_are_lost()

    @precondition(lambda self: self.at_work)
    @rule(paused=st.booleans())
    def the_owner_falls_silent(self, paused):
        self.clock.advance(SECONDS + 1)
        self.owner.ended = not paused  # a paused one will go on
        self.truth |= {"state": "lost"}
        self.open_attempts_are_lost()

    @precondition(lambda self: not self.at_work)
    @rule()
    def another_goes_on(self):
        self.take_over()
        self.emit(self.owner, EventKind.RUN_RESUMED, again=[])
        self.truth |= {"state": "running", "ended_at": None}

    @rule(state=st.sampled_from(["completed", "failed"]), who=indexes)
    def a_paused_owner_ends_the_run(self, state, who):
        owner = self.owners[-1 - who % len(self.owners)]
        if owner is self.owner or owner.ended:
            return
        owner.ended = True
        self.emit(owner, EventKind.RUN_ENDED, state=state, error="")

    @rule(
        kind=st.sampled_from([EventKind.CANCEL_REQUESTED, EventKind.RUN_HELD, "of_the_future"]), epoch=st.integers(0, 9)
    )
    def somebody_wishes(self, kind, epoch):
        epoch = epoch if kind == "of_the_future" else 0
        self.note(Event(self.run, "", 0, f"cli{len(self.history)}", 0, kind, 1.0, epoch, {}, self.project))

    # what arrives

    @rule(share=st.floats(0, 1), again=st.booleans())
    def deliver(self, share, again):
        batch = [event for event in self.waiting if self.chance.random() < share]
        self.waiting = [event for event in self.waiting if event not in batch]
        if again and self.arrived:
            batch += self.chance.choices(self.arrived, k=3)
        self.chance.shuffle(batch)
        while batch:
            size = self.chance.randint(1, len(batch))
            for store in self.stores:
                store.append(batch[:size])
            self.arrived += batch[:size]
            del batch[:size]

    @rule()
    def look(self):
        """All that read the same events say the same."""
        rows = [store.runs(self.project) for store in self.stores]
        assert rows[0] == rows[1]
        view = self.view(self.arrived)
        assert view.to_data() == self.view(sorted(self.arrived, key=self.history.index)).to_data()
        assert view.to_data() == self.view(self.sqlite.events(self.run)).to_data()
        if rows[0]:
            (row,) = rows[0]
            assert (view.state, view.started_at, view.ended_at) == (row.state, row.started_at, row.ended_at)
            assert [store.runs(self.project, state=row.state) for store in self.stores] == rows
        asked = [f"{self.run} {step}" for step in STEPS]
        assert self.sqlite.cached(asked, self.project) == self.memory.cached(asked, self.project)
        told = [[store.latest(self.project, step, self.project) for step in STEPS] for store in self.stores]
        assert told[0] == told[1]

    def view(self, events):
        lease = self.sqlite.lease(self.run)
        return RunView(self.run, lambda: (events, lease.expires_at <= self.clock()), SOURCE)

    def teardown(self):
        if not hasattr(self, "history"):
            return
        self.look()
        self.deliver(1.0, again=True)
        self.look()
        view, truth = self.view(self.arrived), self.truth
        assert (view.state, view.ended_at, view.started_at) == (truth["state"], truth["ended_at"], self.history[0].at)
        found = {
            name: {attempt.number: str(attempt.state) for attempt in step.attempts} for name, step in view.steps.items()
        }
        wanted = {
            name: {number: state for number, (_, state) in sorted(attempts.items())}
            for name, attempts in truth["steps"].items()
        }
        assert found == wanted
        self.sqlite.delete_run(self.run)


@pytest.fixture
def sqlite(tmp_path):
    clock = ManualClock()
    with closing(Database(tmp_path / "core.db")) as database, closing(SqliteTrackingStore(database, clock)) as store:
        History.sqlite, History.clock = store, clock
        yield


def test_what_is_read_is_what_happened_in_whatever_order_it_arrived(sqlite):
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=2000 if FAULTS else 50,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
