"""The launcher of an orchestrator's jobs: each attempt is one; what became of it stands in the events that it wrote.

A thread a job waits where waiting blocks (its start, its output); the scheduler's own thread asks for states, with
back-off, and is the only one that records.
"""

from __future__ import annotations

import time
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread

from core.bundle import LIFE, START, UNTOLD, bundle_of, job_of, pack
from core.errors import CoreError, ImageUnavailable, InfrastructureError, LeaseLostError, StoreError
from core.faults import failpoint
from core.interrupt import doze, whole
from core.model.event import EventKind
from core.model.job import ENDED_JOB, Job, JobHandle, JobPhase, JobState
from core.model.states import StepState
from core.pact import key_of
from core.pool.death import cancelled, timed_out
from core.schedule.post import Post
from core.schedule.verdict import lost, of_state, of_testimony, refused
from core.schedule.work import Work, quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self

    from core.execute import Bench, Result, Task
    from core.ports.orchestrator import Orchestrator
    from core.schedule.work import Launched, Yard

SHORTEST, LONGEST = 0.1, 5.0
"""Seconds between two looks at the states of jobs: at first, and at most."""
SETTLE = 5.0
"""Seconds for which the rest of an ended job's output is waited for."""
UNKNOWN = 3
"""Looks at which an orchestrator knows no such job, before it is lost."""
SLACK = 3600.0
"""Seconds by which a job's deadline is later than its step's `timeout`: pulling its image and starting take time."""


class Jobs:
    """Launches attempts as jobs. Leaving it ends those that are at work, unless the run has another owner by now."""

    def __init__(self, bench: Bench, yard: Yard, *, grace: float) -> None:
        self.slots = yard.slots
        """Attempts that may be at work at a time."""
        self._bench = bench
        self._yard = yard
        self._grace = grace
        self._left = dict(yard.left)
        self._works: dict[tuple[str, int], Work] = {}
        self._ended: list[tuple[Task, Result]] = []
        self._told: SimpleQueue[tuple[str, Work, Any]] = SimpleQueue()
        self._prepared: set[str] = set()
        self._threads: list[Thread] = []
        self._pause = SHORTEST
        self._look = 0.0
        self._post = Post(bench, yard)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LeaseLostError):  # the jobs are the new owner's
            for work in self._works.values():
                self._close(work)
        else:
            self.clear()
            if not self._bench.store.shared:  # nobody else reads of it there
                quietly(self._yard.mailbox.delete_run, self._bench.run)
        self._yard.mailbox.close()

    def clear(self) -> None:
        """End what is at work, and leave nothing of the run with its orchestrators."""
        for work in self._works.values():
            self._close(work)
            self._beside(self._end, work)
        for launched in self._left.values():
            self._drop(launched)
        for thread in self._threads:
            thread.join(self._grace + SETTLE)
        for name in self._prepared:
            quietly(self._yard.orchestrators[name].finish, self._bench.run)
        self._works.clear()
        self._left.clear()
        self._prepared.clear()

    def launch(self, task: Task) -> None:
        """Begin an attempt; what goes wrong is its result."""
        self._start(task, None)

    def take_over(self, task: Task) -> bool:
        """Go on with the attempt of this number and key that an owner before launched; False when there is none."""
        launched = self._left.get(task.node.id)
        if launched is None or (launched.number, launched.key) != (task.number, task.decision.key):
            return False
        if launched.on not in self._yard.orchestrators or self._on(task) != launched.on:
            return False
        del self._left[task.node.id]
        self._bench.emit(EventKind.JOB_TAKEN_OVER, *_key(task), now=True, on=launched.on)
        failpoint("job.taken")
        self._bench.capture.forget_attempt(*_key(task))
        self._start(task, launched.handle, inherited=True)
        return True

    def wait(self, seconds: float | None) -> list[tuple[Task, Result]]:
        """Attempts that ended; waits for one at most `seconds`, with None until there is one."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._ended and (self._works or until is not None):
            self._hear(self._seconds(until))
            self._keep_time()
            if any(work.handle for work in self._works.values()) and time.monotonic() >= self._look:
                self._ask()
            for work in [work for work in self._works.values() if work.state is not None]:
                self._settle(work)
            if until is not None and time.monotonic() >= until:
                break
        ended, self._ended = self._ended, []
        return ended

    def stop(self, task: Task, *, now: bool) -> None:
        """Tell the step to end and, after the grace, end its job; `now` ends it at once."""
        work = self._works.get(_key(task))
        if work is not None:
            self._tell(work, "stop", now=now)
        elif not any(ended is task for ended, _ in self._ended):
            self._ended.append((task, cancelled()))  # interrupted before it was launched

    def knows(self, task: Task) -> bool:
        """Whether its orchestrator launches jobs."""
        return self._on(task) in self._yard.orchestrators

    def _on(self, task: Task) -> str:
        return task.spec.options.runs_on or self._yard.default

    def _start(self, task: Task, handle: JobHandle | None, *, inherited: bool = False) -> None:
        on = self._on(task)
        orchestrator = self._yard.orchestrators[on]
        try:
            job, lent = self._job(task, orchestrator)
        except CoreError as error:  # a secret is gone, or can't be opened
            self._ended.append((task, refused(task, error)))
            return
        work = Work(task, job, on, orchestrator, handle)
        work.inherited = inherited
        work.lent = 0.0 if handle is not None and lent is not None else lent  # an owner before gave it others
        self._works[work.key] = work
        self._bench.capture.open_attempt(*work.key)
        self._pause, self._look = SHORTEST, 0.0
        if handle is None:  # before it can be there: whoever goes on with the run finds it by its id
            self._record(work, {})
            failpoint("job.wanted")
        else:
            work.due = self._limit(task)
        self._beside(self._follow, work)

    def _limit(self, task: Task) -> float | None:
        timeout = task.spec.options.timeout
        return None if timeout is None else time.monotonic() + timeout

    def _job(self, task: Task, orchestrator: Orchestrator) -> tuple[Job, float | None]:
        """The job of an attempt, and when the credentials end that it is given."""
        options, yard, run = task.spec.options, self._yard, self._bench.run
        life = LIFE if options.timeout is None else options.timeout + yard.shipping.grace + SLACK
        deadline, node = time.time() + life, task.node
        job = job_of(run, node.id, task.number)
        bundle = bundle_of(self._bench, task, yard.shipping, yard.epoch(), deadline, key_of(yard.secret, job))
        made = Job(
            id=job,
            command=(*orchestrator.python, "-c", START),
            image=yard.images.get(node.id) or yard.images.get(node.template),
            resources=options.resources,
            deadline=deadline,
            labels={"run": run, "step": node.id, "attempt": str(task.number), "pipeline": self._bench.pipeline},
            bundle=pack(bundle),
            folders=yard.shipping.folders,
        )
        return made, bundle.credentials["expires_at"] if bundle.credentials is not None else None

    def _beside(self, work: Callable[[Work], None], of: Work) -> None:
        thread = Thread(target=work, args=(of,), name=f"core-job-{of.job.id[-40:]}", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _follow(self, work: Work) -> None:
        """A thread's life: launch the job, and pass on what it prints until it ends."""
        try:
            if work.handle is None:
                self._told.put(("launched", work, self._launched(work)))
        except Exception as error:  # noqa: BLE001 - border of a plugin: the attempt that it ends tells
            work.silent.set()
            self._told.put(("refused", work, error))
            return
        self._listen(work)
        work.silent.set()
        self._told.put(("silent", work, None))

    def _launched(self, work: Work) -> JobHandle:
        """Launch it; what is away is tried again: the same id never starts two."""
        until, pause = time.monotonic() + self._yard.patience, 0.2
        while True:
            try:
                if work.on not in self._prepared:
                    self._prepared.add(work.on)
                    work.orchestrator.prepare(self._bench.run)
                self._yard.tracking.secure()  # whoever goes on with the run must know of the job
                work.handle = work.orchestrator.launch(work.job)
            except InfrastructureError as error:
                if isinstance(error, ImageUnavailable) or work.wish or time.monotonic() + pause > until:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, LONGEST)
            else:
                return work.handle

    def _listen(self, work: Work) -> None:
        """Feed its output to the log; after a break of the stream it goes on behind the lines that have come."""
        seen, breaks = 0, 0
        while work.handle is not None:
            try:
                for number, line in enumerate(work.orchestrator.logs(work.handle, follow=True), 1):
                    if number > seen:
                        seen = number
                        self._feed(work, f"{line}\n".encode("utf-8", "backslashreplace"))
            except Exception:  # noqa: BLE001 - border of a plugin: output that is lost ends no step
                breaks += 1
                if breaks > UNKNOWN or work.state is not None:
                    return
                time.sleep(min(0.2 * 2**breaks, LONGEST))
                continue
            return

    def _feed(self, work: Work, data: bytes) -> None:
        with work.log:
            if not work.closed:
                self._bench.capture.feed(*work.key, "stdout", data)

    def _close(self, work: Work) -> None:
        with work.log:
            work.closed = True
            self._bench.capture.close_attempt(*work.key)

    def _seconds(self, until: float | None) -> float:
        """How long nothing will happen by itself."""
        times = [work.due for work in self._works.values() if work.due is not None]
        times += [self._look] if any(work.handle for work in self._works.values()) else []
        times += [] if until is None else [until]
        return min(max(min(times) - time.monotonic(), 0.0), LONGEST) if times else LONGEST

    def _hear(self, seconds: float) -> None:
        """Take what the threads say; wait for it at most `seconds`."""
        try:
            said = doze(partial(self._told.get, True), seconds) if seconds else self._told.get_nowait()  # noqa: FBT003 - `get` is C
            while True:
                self._take(*said)
                said = self._told.get_nowait()
        except Empty:
            return

    def _take(self, what: str, work: Work, told: Any) -> None:
        if self._works.get(work.key) is not work:
            return
        self._pause, self._look = SHORTEST, 0.0
        if what == "refused":
            self._finish(work, refused(work.task, told) if not work.wish else self._wished(work))
        elif what == "launched":
            work.began = time.monotonic()
            self._record(work, {"orchestrator": told.orchestrator, "handle": dict(told.data)})
            failpoint("job.launched")
            if work.wish:
                self._beside(self._end, work)
            else:
                work.due = self._limit(work.task)

    def _record(self, work: Work, more: Mapping[str, Any]) -> None:
        self._bench.emit(EventKind.JOB_LAUNCHED, *work.key, now=True, on=work.on, job=work.job.id, **more)

    def _ask(self) -> None:
        """Ask each orchestrator for the states of its jobs."""
        by: dict[str, list[Work]] = {}
        for work in self._works.values():
            if work.handle is not None and work.state is None:
                by.setdefault(work.on, []).append(work)
        for works in by.values():
            try:
                handles = [work.handle for work in works if work.handle]
                states = whole(partial(works[0].orchestrator.state, handles))
            except Exception as error:  # noqa: BLE001 - border of a plugin: it may be away for a while
                for work in works:
                    self._unreachable(work, error)
                continue
            for work in works:
                self._saw(work, states.get(work.job.id) or JobState(JobPhase.UNKNOWN))
        self._look = time.monotonic() + self._pause
        self._pause = min(1.5 * self._pause, LONGEST)
        lent = [work for work in self._works.values() if work.lent is not None and work.state is None and work.handle]
        if lent and not self._post.lending.locked():
            self._beside(lambda _: self._post.lend(lent), lent[0])

    def _saw(self, work: Work, state: JobState) -> None:
        work.away = None
        work.unknown = work.unknown + 1 if state.phase is JobPhase.UNKNOWN else 0
        if state.phase in ENDED_JOB or work.unknown >= UNKNOWN or (work.unknown and work.silent.is_set()):
            work.state, work.settle = state, time.monotonic() + SETTLE

    def _unreachable(self, work: Work, error: Exception) -> None:
        """It can't be asked for; while the attempt gives signs of life itself, that is all that is known."""
        now = time.monotonic()
        work.away = work.away or now
        if now - work.away < self._yard.patience or self._post.alive(work):
            return
        work.settle = now
        work.state = JobState(JobPhase.UNKNOWN, reason=f"orchestrator {work.on!r} can't be asked for it: {error}")

    def _settle(self, work: Work) -> None:
        """An ended job becomes a result, once its output has come and its events can be read."""
        now = time.monotonic()
        if work.state is None or (not work.silent.is_set() and now < work.settle):
            self._look = min(self._look, now + SHORTEST)
            return
        try:
            testimony = self._post.read(work)
        except StoreError as error:
            if now < work.settle + self._yard.patience:
                self._look = now + SHORTEST
                return
            self._finish(work, lost(work.task, f"what became of it can't be read: {error.message}"))
            return
        task, state = work.task, work.state
        if testimony is None and state.exit_code == UNTOLD and not work.again:
            self._anew(work)
            return
        doubted = work.doubted
        result = of_testimony(task, testimony.data) if testimony else of_state(task, state, doubted=doubted)
        if work.wish:
            result = self._wished(work, result)
        failpoint("job.ended")
        self._finish(work, result)

    def _anew(self, work: Work) -> None:
        """Launch it once more, as the same attempt: the driver before died while it told it what to do."""
        work.again, work.handle, work.state = True, None, None
        work.silent.clear()
        self._beside(self._follow, work)

    def _wished(self, work: Work, result: Result | None = None) -> Result:
        """The result of an attempt that was told to end; one that was done by then is done."""
        if result is not None and result.state is StepState.COMPLETED:
            return result
        if work.wish == "timeout":
            return timed_out(work.task, result.told if result else {})
        return cancelled()

    def _finish(self, work: Work, result: Result) -> None:
        """The attempt has ended: all that it printed stands in its log, nothing is left of its job."""
        self._close(work)
        del self._works[work.key]
        if work.handle is not None:
            self._beside(self._end, work)
        seconds = result.seconds or round(time.monotonic() - work.began, 6)
        self._ended.append((work.task, result._replace(seconds=seconds)))

    def _tell(self, work: Work, wish: str, *, now: bool) -> None:
        if work.wish and not now:
            return
        work.wish = work.wish or wish
        work.due = None if now else time.monotonic() + self._grace
        self._look = 0.0
        self._pause = SHORTEST
        if work.handle is not None:
            self._beside(self._end if now else self._ask_to_end, work)

    def _keep_time(self) -> None:
        now = time.monotonic()
        for work in [work for work in self._works.values() if work.due is not None and work.due <= now]:
            self._tell(work, "timeout", now=bool(work.wish))

    def _ask_to_end(self, work: Work) -> None:
        quietly(work.orchestrator.tell, work.handle)

    def _end(self, work: Work) -> None:
        quietly(work.orchestrator.cancel, work.handle)
        quietly(self._post.clear, work)

    def _drop(self, launched: Launched) -> None:
        """End the job of an owner before, with which nobody goes on."""
        orchestrator = self._yard.orchestrators.get(launched.on)
        if orchestrator is not None and launched.handle is not None:
            quietly(orchestrator.cancel, launched.handle)


def _key(task: Task) -> tuple[str, int]:
    return task.node.id, task.number
