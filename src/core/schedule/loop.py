"""The loop: takes each node when it is ready, reuses or launches it, settles it when it is over."""

from __future__ import annotations

from core.artifacts import load
from core.carry import missing
from core.errors import InfrastructureError
from core.execute import Task, begin, call_hook, conclude
from core.faults import failpoint
from core.model.event import EventKind
from core.model.plan import Action, Decision
from core.model.states import StepState
from core.schedule.frontier import Frontier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from core.execute import Bench, Outputs, Result
    from core.interrupt import Interruptible
    from core.model.artifact import ArtifactRef
    from core.model.graph import Node
    from core.model.plan import CachedResult, Plan
    from core.model.spec import StepSpec
    from core.plan import Planner
    from core.record import Recorder
    from core.schedule.flight import Flight
    from core.schedule.owner import Past
    from core.schedule.retry import Retries

    class Launcher(Protocol):
        """Runs attempts somewhere."""

        slots: int
        """Attempts that may be at work at a time."""

        def launch(self, task: Task) -> None:
            """Begin an attempt."""

        def wait(self, seconds: float | None) -> list[tuple[Task, Result]]:
            """Attempts that ended; waits for one at most `seconds`."""

        def stop(self, task: Task, *, now: bool) -> None:
            """Tell it to end, or end it `now`; its result comes through `wait`."""

        def take_over(self, task: Task) -> bool:
            """Go on with an attempt that an owner of the run before this one launched; False when it can't."""

        def clear(self) -> None:
            """End what is at work where it would outlive this process, and leave nothing of it."""


TICK = 0.5
"""Seconds between two looks at what else may have happened: a lost lease, a wish to cancel."""


class Loop:
    """One owner's share of a run."""

    def __init__(
        self,
        plan: Plan,
        planner: Planner,
        specs: dict[str, StepSpec],
        bench: Bench,
        recorder: Recorder,
        launcher: Launcher,
        interrupts: Interruptible,
        past: Past | None,
        fetch: Callable[[Mapping[str, ArtifactRef]], str] | None = None,
    ) -> None:
        self._plan = plan
        self._planner = planner
        self._specs = specs
        self._bench = bench
        self._recorder = recorder
        self._launcher = launcher
        self._interrupts = interrupts
        self._past = past
        self._fetch = fetch
        self._done: dict[str, Outputs] = dict(past.done) if past else {}
        self._frontier = Frontier(plan.graph.nodes, self._done)
        self._blocked: dict[str, str] = {}
        self._left_out: dict[str, str] = {}
        self._numbers: dict[str, int] = dict(past.numbers) if past else {}
        self._running: dict[str, Task] = {}
        self._claims: dict[str, str] = {}
        self._spent: list[tuple[int, str]] = []
        self._fail_fast = False
        self._retries: Retries | None = None
        self._flight: Flight | None = None
        self._first: tuple[str, BaseException | None] = ("", None)

    def run(self, *, fail_fast: bool) -> tuple[str, BaseException | None]:
        """Until every node is settled; gives the first step that failed and what it raised."""
        self._fail_fast = fail_fast
        frontier, running, launcher = self._frontier, self._running, self._launcher
        try:
            while True:
                while frontier and len(running) < launcher.slots:
                    self._take(frontier.pop())
                pause = self._pause()
                if pause is None and not running:
                    return self._first
                for task, result in launcher.wait(pause if pause is not None else TICK):
                    self._finish(task, result)
                self._look()
        except KeyboardInterrupt:
            self._wind_down()
            raise

    def unclaim(self) -> None:
        """Let others run what this run has begun and recorded, or given up."""
        for key in [*self._claims.values(), *(key for _, key in self._spent)]:
            self._recorder.tracking.unclaim(key, self._recorder.writer)

    def _pause(self) -> float | None:
        """Seconds to wait at most; None when nothing can happen by itself."""
        pauses = [more.pause() for more in (self._retries, self._flight) if more]
        return min(TICK, *pauses) if pauses else None

    def _look(self) -> None:
        """At what may have happened beside the launched attempts."""
        self._recorder.check()
        self._interrupts.check()
        if self._spent:
            self._let_go()
        if self._retries:
            for task in self._retries.due():
                self._numbers[task.node.id] = task.number
                self._launch(self._with_checkpoint(task))
        if self._flight:
            for node in self._flight.landed():
                self._frontier.push(node)

    def _take(self, name: str) -> None:
        """A node whose every upstream is settled: skip, expand, reuse, or launch it."""
        node = self._frontier.nodes[name]
        if self._frontier.shapes:
            node = self._rewired(node)
        if self._settled_before(node):
            return
        decision = self._decide(node)
        if self._past and name in self._past.launched and self._take_over(node, decision):
            return
        if self._planner.may_reuse(node) and not (self._past and name in self._past.again):
            if decision.action is Action.RUN and not self._claim(node, decision):
                return
            if decision.cached is None:
                decision = self._readable(self._planner.look_again(node, decision, fresh=self._has_waited(name)))
            if decision.cached is not None:
                self._release_claim(name)
                self._reuse(node, decision)
                return
        for digest, text in self._planner.documents().items():
            self._recorder.document(digest, text)
        task = Task(node, self._specs[name], decision, self._number(name), self._done)
        self._launch(self._with_checkpoint(task) if task.number > 1 else task)

    def _take_over(self, node: Node, decision: Decision) -> bool:
        """Whether an attempt that an owner before this one launched is still good, and goes on."""
        name, past = node.id, self._past
        if past is None or name in past.again or past.numbers.get(name) != self._numbers.get(name):
            return False
        decision = decision._replace(action=Action.RUN, cached=None)
        task = Task(node, self._specs[name], decision, self._numbers[name], self._done)
        if not self._launcher.take_over(task):
            return False
        key = "key:" + decision.key
        if self._planner.may_reuse(node) and self._recorder.tracking.claim(key, self._recorder.writer):
            self._claims[name] = key
        self._running[name] = task
        return True

    def _settled_before(self, node: Node) -> bool:
        """Whether it is skipped, left out, or a mapped step, which is expanded."""
        if (self._blocked or self._left_out) and self._skipped(node):
            return True
        if node.when is not None and not self._wanted(node):
            return True
        if node.each:
            self._expand(node)
        return bool(node.each)

    def _launch(self, task: Task) -> None:
        self._interrupts.check()
        begin(self._bench, task)
        failpoint("attempt.begun")
        self._launcher.launch(task)
        self._running[task.node.id] = task  # an interruption before this leaves nothing to wait for

    def _number(self, name: str) -> int:
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        return number

    def _finish(self, task: Task, result: Result) -> None:
        """An attempt is over: record it, try again, or settle the node."""
        name = task.node.id
        self._running.pop(name, None)
        again = None if result.state is StepState.COMPLETED else self._again(task, result)
        conclude(self._bench, task, result, retry=again)
        if result.seconds >= self._recorder.group:  # what took longer than an append is not left to be done twice
            self._recorder.flush()
        if again:
            failpoint("retry.waits")
            return
        if result.state is StepState.CANCELLED and not self._blocked.get(""):
            self._release_claim(name)
            raise result.error or KeyboardInterrupt
        call_hook(self._bench, task, result)
        self._release_claim(name)
        if result.state is StepState.COMPLETED:
            self._done[name] = result.outputs
        else:
            self._fail(name, result.error or InfrastructureError(f"step {name!r} was {result.state}"))
        self._frontier.settle(name)

    def _fail(self, name: str, error: BaseException | None) -> None:
        self._blocked[name] = f"{name} failed"
        if self._first[1] is None:
            self._first = (name, error)
        if self._fail_fast and "" not in self._blocked:
            self._blocked[""] = f"{name} failed, and --fail-fast stops there"
            for task in list(self._running.values()):
                self._launcher.stop(task, now=False)

    def _again(self, task: Task, result: Result) -> Mapping[str, Any] | None:
        """The try that follows, which is arranged for, if the node is worth one."""
        if "" in self._blocked or self._interrupts.told:
            return None
        if self._retries is None:
            from core.schedule.retry import Retries  # start-up time: only a failure comes here

            self._retries = Retries()
        return self._retries.take(task, result)

    def _skipped(self, node: Node) -> bool:
        """Whether what happened before `node` keeps it from running, which is then recorded."""
        reason = self._blocked.get("", "")
        for upstream in () if reason else node.upstream():
            if upstream in self._blocked:
                reason = self._blocked[upstream]
                reason = reason if reason.endswith("failed") else f"{upstream} was skipped"
                break
        if reason:
            self._blocked[node.id] = reason
            self._skip(node.id, reason)
            return True
        if not self._left_out:
            return False
        from core.model.expand import lacking  # start-up time: few graphs have conditions

        lacks = lacking(node, self._left_out)
        if lacks:
            self._leave_out(node.id, f"{lacks} was skipped")
        return bool(lacks)

    def _wanted(self, node: Node) -> bool:
        """Whether the condition of `node` holds; if not, it is left out on purpose."""
        when = node.when
        if when is None:
            return True
        bench = self._bench
        ref = self._done[when.node][when.output]
        if load(ref, store=bench.store, materializers=bench.materializers, trusted=bench.trusted):
            return True
        self._leave_out(node.id, f"{when.node} gave False")
        return False

    def _leave_out(self, name: str, reason: str) -> None:
        self._left_out[name] = reason
        self._skip(name, reason)

    def _skip(self, name: str, reason: str) -> None:
        self._bench.emit(EventKind.STEP_SKIPPED, name, self._number(name), reason=reason)
        failpoint("step.skipped")
        self._frontier.settle(name)

    def _decide(self, node: Node) -> Decision:
        """The plan's decision, made now where it hung on what ran meanwhile; what can't be read is not reused."""
        past = self._past
        decision = self._plan.decisions.get(node.id)
        if decision is None or not decision.key or past:
            decision = self._planner.decide(node, self._done)
        if past and node.id in past.again:
            return decision._replace(action=Action.RUN, reason="asked for again", cached=None)
        return self._readable(decision)

    def _readable(self, decision: Decision) -> Decision:
        cached = decision.cached
        if decision.action is not Action.REUSE or cached is None:
            return decision
        gone = missing(cached.outputs, self._bench.store)
        if gone and self._fetch:
            gone = self._fetch(cached.outputs)
        gone = gone or self._untrusted(cached)
        if cached.run == self._bench.run:
            known = self._past.numbers.get(cached.step, 0) if self._past else 0
            if cached.attempt > known:  # whether it is recorded by now hangs on milliseconds
                gone = f"runs beside {cached.step}, which has the same code, parameters and inputs"
        return decision._replace(action=Action.RUN, reason=gone, cached=None) if gone else decision

    def _untrusted(self, cached: CachedResult) -> str:
        """Why a result of others can't be taken: it is a pickle, and their journal is not trusted."""
        if not cached.origin or cached.origin in self._recorder.tracking.trusted:
            return ""
        table = self._bench.materializers
        for name, ref in cached.outputs.items():
            if table.named(ref.materializer).pickles:
                return f"output {name} is a pickle that others made; {cached.origin} is not trusted"
        return ""

    def _reuse(self, node: Node, decision: Decision) -> None:
        cached = decision.cached
        if cached is None:
            return
        self._done[node.id] = dict(cached.outputs)
        self._bench.emit(
            EventKind.STEP_REUSED,
            node.id,
            self._number(node.id),
            key=decision.key,
            pipeline=self._bench.pipeline,
            reason=decision.reason,
            fingerprint=decision.fingerprint,
            outputs={name: ref.to_data() for name, ref in cached.outputs.items()},
            source=[cached.run, cached.step, cached.attempt],
            **({"origin": cached.origin} if cached.origin else {}),  # what others made stays theirs
        )
        failpoint("step.reused")
        self._frontier.settle(node.id)

    def _claim(self, node: Node, decision: Decision) -> bool:
        """Whether no other run is at the same work; if one is, the node waits for its end."""
        key = "key:" + decision.key
        if not self._recorder.tracking.claim(key, self._recorder.writer):
            if self._flight is None:
                from core.schedule.flight import Flight  # start-up time: only beside other runs

                self._flight = Flight(self._recorder)
            if not self._flight.overdue(node.id):
                self._flight.wait(node.id, decision.key)
                return False
        self._claims[node.id] = key
        failpoint("claim.taken")
        return True

    def _has_waited(self, name: str) -> bool:
        return self._flight is not None and self._flight.over(name)

    def _release_claim(self, name: str) -> None:
        key = self._claims.pop(name, None)
        if key is not None:  # not before others can read what became of it
            self._spent.append((self._recorder.emitted, key))
            self._let_go()

    def _let_go(self) -> None:
        durable = self._recorder.durable
        while self._spent and self._spent[0][0] <= durable:
            self._recorder.tracking.unclaim(self._spent.pop(0)[1], self._recorder.writer)

    def _rewired(self, node: Node) -> Node:
        from core.model.expand import rewire  # start-up time: few graphs have mapped steps

        node = self._frontier.nodes[node.id] = rewire(node, self._frontier.shapes)
        return node

    def _expand(self, node: Node) -> None:
        from core.schedule.mapped import expand  # start-up time: few graphs have mapped steps

        error = expand(node, self._frontier, self._done, self._specs, self._bench, self._number)
        if error is not None:
            self._fail(node.id, error)
            self._frontier.settle(node.id)

    def _with_checkpoint(self, task: Task) -> Task:
        from core.schedule.retry import newest_checkpoint  # start-up time: only a further try comes here

        checkpoint = newest_checkpoint(self._recorder, task)
        if checkpoint is not None and self._fetch:
            self._fetch({"checkpoint": checkpoint})
        return task._replace(checkpoint=checkpoint)

    def _wind_down(self) -> None:
        """Tell every running step to end, and record how each did; a second interruption ends them at once."""
        now = False
        while self._running:
            try:
                for task in self._running.values():
                    self._launcher.stop(task, now=now)
                while self._running:
                    for task, result in self._launcher.wait(TICK):
                        self._running.pop(task.node.id, None)
                        conclude(self._bench, task, result)
            except KeyboardInterrupt:
                now = True
