"""The driver's side of the workers: hands out attempts, hears what becomes of each, ends those that must end."""

from __future__ import annotations

import os
import selectors
import signal
import time
from functools import partial

from core.errors import CoreError, InfrastructureError
from core.execute import Result
from core.faults import failpoint
from core.interrupt import doze
from core.model.states import Fault, StepState
from core.pool import death, dice, kernel, nursery
from core.pool.seat import READ, Seat
from core.pool.start import Kit, start
from core.pool.travel import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self

    from core.execute import Bench, Task
    from core.model.spec import StepSpec
    from core.pool.handle import Handle

SLACK = 0.5
"""Seconds by which a worker's word must be younger than a task that it should have, to count as its loss."""
READS = 4
"""Reads of one stream before the others have their turn."""


class Pool:
    """Warm workers. Enter it while the program has as few threads as it will: see `core.pool.start` for `start`.

    Raises `ConfigurationError` when a fresh Python is needed for workers and a step can't travel to it.
    """

    def __init__(
        self, bench: Bench, specs: Mapping[str, StepSpec], *, slots: int, grace: float, start: str = "auto"
    ) -> None:
        self.slots = slots
        """Attempts that may be at work at a time."""
        self._bench = bench
        unique = {id(spec): spec for spec in specs.values()}
        self._places = {known: place for place, known in enumerate(unique)}
        self._kit = Kit(bench, list(unique.values()), grace, {})
        self._start = start
        self._nursery: Handle | None = None
        self._selector: selectors.BaseSelector
        self._seats: dict[int, Seat] = {}
        self._idle: list[Seat] = []
        self._busy: dict[tuple[str, int], Seat] = {}
        self._ended: list[tuple[Task, Result]] = []
        self._made = 0

    def __enter__(self) -> Self:
        self._kit = self._kit._replace(thrown=dice.throw())
        self._selector = selectors.DefaultSelector()
        self._found()
        return self

    def __exit__(self, *_: object) -> None:
        """End every worker, at once where an attempt is at work, and the nursery."""
        handle, self._nursery = self._nursery, None
        if handle is not None:
            for seat in self._seats.values():
                if seat.task is not None:
                    handle.signal(seat.number, signal.SIGKILL)
                seat.dismiss()
            handle.end()
        for seat in self._seats.values():
            seat.close()
        self._seats.clear()
        self._busy.clear()
        self._idle.clear()
        self._selector.close()

    def launch(self, task: Task) -> None:
        """Begin an attempt in an idle worker; one is forked when there is none. What goes wrong is its result."""
        try:
            seat = self._take() or self._make()
        except (OSError, CoreError) as error:
            said = error.message if isinstance(error, CoreError) else str(error)
            self._ended.append((task, death.lost(f"no worker can be started for step {task.node.id!r}: {said}")))
            return
        seat.task, seat.began = task, time.monotonic()
        seat.count += 1
        timeout = task.spec.options.timeout
        seat.due = None if timeout is None else seat.began + timeout
        self._busy[_key(task)] = seat
        self._bench.capture.open_attempt(*_key(task))
        if not failpoint("task.sent"):
            message = seat.count, self._places[id(task.spec)], task.node, task.number, task.needed(), task.checkpoint
            self._send(seat, "run", *message)

    def wait(self, seconds: float | None) -> list[tuple[Task, Result]]:
        """Attempts that ended; waits for one at most `seconds`, with None until there is one."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._ended and (self._busy or until is not None):
            times = [seat.due for seat in self._busy.values() if seat.due is not None]
            times += [] if until is None else [until]
            pause = max(min(times) - time.monotonic(), 0.0) if times else None
            for key, mask in doze(self._selector.select, pause):
                if key.fd in self._selector.get_map():  # else what came before it ended that worker
                    key.data(mask)
            self._keep_time()
            if until is not None and time.monotonic() >= until:
                break
        ended, self._ended = self._ended, []
        return ended

    def stop(self, task: Task, *, now: bool) -> None:
        """Tell the step to end and, after the grace, kill its processes; `now` kills them at once."""
        seat = self._busy.get(_key(task))
        if seat is not None:
            self._tell(seat, "stop", now=now)
        elif not any(ended is task for ended, _ in self._ended):
            self._ended.append((task, death.cancelled()))  # interrupted before it was launched

    def take_over(self, task: Task) -> bool:  # noqa: ARG002 - the launcher's signature
        """False: workers die with their driver."""
        return False

    def clear(self) -> None:
        """Nothing: workers die with their driver."""

    def _found(self) -> None:
        handle = self._nursery = start(self._kit, self._start)
        self._selector.register(handle.control, selectors.EVENT_READ, lambda _: self._listen(handle))

    def _take(self) -> Seat | None:
        """A worker that is idle, and has not been killed while it was."""
        while self._idle:
            seat = self._idle.pop()
            if seat.alive():
                return seat
        return None

    def _make(self) -> Seat:
        """A seat with a worker that is about to be there."""
        seat = self._seat()
        if seat is None:  # the nursery has just died: that is heard now, and the next one asked
            seat = self._seat()
        if seat is None:
            raise InfrastructureError("the process that forks workers died twice")
        self._seats[seat.number] = seat
        self._selector.register(seat.link, selectors.EVENT_READ, partial(self._hear, seat))
        for stream, pipe in seat.pipes.items():
            self._selector.register(pipe, selectors.EVENT_READ, partial(self._read, seat, stream))
        return seat

    def _seat(self) -> Seat | None:
        """A seat of which the nursery knows; None when that is gone."""
        if self._nursery is None:
            self._found()
        handle = self._nursery
        self._made += 1
        seat = Seat(self._made)
        try:
            seat.hand_over(handle.fork)  # type: ignore[union-attr]
        except OSError:
            seat.close()
            self._listen(handle)  # type: ignore[arg-type]
            return None
        return seat

    def _send(self, seat: Seat, *message: Any) -> None:
        if not seat.send(*message):  # more than the socket holds, or it does not read
            self._watch(seat, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _watch(self, seat: Seat, events: int) -> None:
        if seat.link in self._selector.get_map():
            self._selector.modify(seat.link, events, partial(self._hear, seat))

    def _hear(self, seat: Seat, mask: int) -> None:
        """Obey what a worker says."""
        if mask & selectors.EVENT_WRITE and seat.push():
            self._watch(seat, selectors.EVENT_READ)
        for message in seat.messages():
            what, *rest = message
            if seat.task is not None:
                self._says[what](self, seat, seat.task, *rest)
        if seat.ended:
            self._forget(seat.link)  # the nursery tells what became of it

    def _event(self, seat: Seat, _: Task, number: int, kind: str, *event: Any) -> None:
        """Something to note; an answer is waited for when it must be durable."""
        step, attempt, data, now = event
        if not now:
            self._bench.emit(kind, step, attempt, **data)
            return
        wrong = None
        try:
            self._bench.emit(kind, step, attempt, now=True, **data)
        except CoreError as error:
            wrong = error  # the step's to handle, as in the driver's own process
        seat.noted = number
        if not failpoint("event.acknowledged"):
            self._send(seat, "noted", number, wrong)

    def _asks(self, seat: Seat, _: Task, number: int) -> None:
        """Whether what it wanted to be durable is: the answer may have been lost."""
        if seat.noted == number:
            self._send(seat, "noted", number, None)

    def _result(self, seat: Seat, task: Task, count: int, *said: Any) -> None:
        """The attempt is over."""
        if failpoint("reply.received") or count != seat.count:
            return
        state, outputs, parcel, fault, seconds, terminated, left = said
        error, told = unpack(parcel)
        result = Result(StepState(state), outputs, error, Fault(fault), told, seconds)
        if seat.wish == "timeout":
            result, seconds = death.timed_out(task, told), seat.seconds()
        elif result.state is StepState.CANCELLED and seat.wish:
            result = death.cancelled()
        elif result.state is StepState.CANCELLED and terminated:
            result = death.preempted(task)
        wished = seat.wish
        self._finish(seat, task, result._replace(seconds=seconds))
        if left or wished:  # a signal of ours may still be on its way
            self._retire(seat)
        else:
            self._idle.append(seat)

    def _rests(self, seat: Seat, task: Task, received: int, at: float) -> None:
        """It has nothing to do, though it should: its task, or the result, was lost."""
        if received == seat.count or at > seat.began + SLACK:
            what = "the result" if received == seat.count else "the start"
            self._finish(seat, task, death.lost(f"{what} of step {task.node.id!r} was lost on its way"))
            self._retire(seat)

    _says: Mapping[str, Callable[..., None]] = {"event": _event, "result": _result, "asks": _asks, "idle": _rests}

    def _listen(self, handle: Handle) -> None:
        """What the nursery reports."""
        for kind, number, first, second, peak in handle.reports():
            seat = self._seats.get(number)
            if seat is None:
                continue
            if kind == nursery.BORN:
                seat.pid = first
            elif kind == nursery.GONE:
                self._bury(seat, lambda task: death.died(task, first, peak, oom=bool(second)))  # noqa: B023 - called now
            elif kind == nursery.BARREN:
                said = os.strerror(first)
                self._bury(seat, lambda task: death.lost(f"no process for step {task.node.id!r}: {said}"))  # noqa: B023
        if handle.gone:
            self._orphaned(handle)

    def _orphaned(self, handle: Handle) -> None:
        """The nursery was killed; the kernel has killed its workers, and the next launch founds a new one."""
        self._forget(handle.control)
        self._nursery = None
        handle.close()
        for seat in list(self._seats.values()):
            if seat.pid:
                kernel.kill(seat.pid)  # what the step started in its group
            self._bury(seat, lambda task: death.lost(f"step {task.node.id!r} died with the process that forks workers"))

    def _bury(self, seat: Seat, cause: Callable[[Task], Result]) -> None:
        """A worker has died; its attempt has the result that it sent last, or this death."""
        self._hear(seat, 0)
        task = seat.task
        if task is not None:
            seconds = seat.seconds()
            overdue = f"did not end within {self._kit.grace:g} s after it was told to"
            result = cause(task)
            if seat.wish == "timeout":
                result = death.timed_out(task)
            elif seat.wish:
                result = death.cancelled(overdue if seat.overdue else "")
            self._finish(seat, task, result._replace(seconds=seconds))
        if seat in self._idle:
            self._idle.remove(seat)
        for known in (seat.link, *seat.pipes.values()):
            self._forget(known)
        del self._seats[seat.number]
        seat.close()

    def _finish(self, seat: Seat, task: Task, result: Result) -> None:
        """The attempt has ended; all that was written before stands in its log first."""
        for stream in seat.pipes:
            self._read(seat, stream, 0)
        self._bench.capture.close_attempt(task.node.id, task.number)
        seat.task, seat.due = None, None
        del self._busy[_key(task)]
        self._ended.append((task, result))

    def _read(self, seat: Seat, stream: str, _: int) -> None:
        """Take what a worker prints; between two attempts nobody wants it."""
        task = seat.task
        for _turn in range(READS):
            data = seat.output(stream)
            if data is None:
                self._forget(seat.pipes[stream])
            if not data:
                return
            if task is not None:
                self._bench.capture.feed(task.node.id, task.number, stream, data)
            if len(data) < READ:  # there was no more
                return

    def _forget(self, known: Any) -> None:
        if known in self._selector.get_map():
            self._selector.unregister(known)

    def _retire(self, seat: Seat) -> None:
        """Use a worker no more."""
        seat.wish = "retire"
        if self._nursery is not None:
            self._nursery.retire(seat.number)

    def _tell(self, seat: Seat, wish: str, *, now: bool) -> None:
        """Have an attempt end, now or within the grace."""
        if self._nursery is None or (seat.wish and not now):
            return
        seat.wish = seat.wish or wish
        seat.due = time.monotonic() + (1.0 if now else self._kit.grace)
        self._nursery.signal(seat.number, signal.SIGKILL if now else signal.SIGTERM)

    def _keep_time(self) -> None:
        """End attempts whose time is over, and kill those that did not end when they were told to."""
        now = time.monotonic()
        for seat in [seat for seat in self._busy.values() if seat.due is not None and seat.due <= now]:
            seat.overdue = bool(seat.wish)
            self._tell(seat, "timeout", now=seat.overdue)


def _key(task: Task) -> tuple[str, int]:
    return task.node.id, task.number
