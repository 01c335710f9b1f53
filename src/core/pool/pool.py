"""The driver's side of the workers: hands out attempts, hears what becomes of them, ends those that must end."""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import socket
import time
import warnings

from core.errors import TOLD, WorkerDied
from core.execute import Result
from core.faults import failpoint
from core.interrupt import doze
from core.model.states import Fault, StepState
from core.pool import death
from core.pool.nursery import tend
from core.pool.wire import Inbox, send
from core.pool.worker import work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self

    from core.execute import Bench, Task
    from core.model.spec import StepSpec

PIPE = 1 << 20
"""Bytes that a step may print before it waits for the driver."""
_SET_PIPE_SIZE = 1031


class Worker:
    """One worker process, and the attempt that it is at."""

    def __init__(self, pid: int, link: socket.socket, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.link = link
        self.inbox = Inbox(link)
        self.pipes = {"stdout": stdout, "stderr": stderr}
        self.task: Task | None = None
        self.began = 0.0
        self.ooms = 0
        self.told = ""
        """Why it was told to end: `stop` or `timeout`; empty when it was not."""
        self.due: float | None = None
        """When (monotonic seconds) it runs out of time, or, once told, is killed."""


class Pool:
    """Warm workers. Use it as a context manager, entered while the driver has no thread of core's own."""

    def __init__(self, bench: Bench, specs: Mapping[str, StepSpec], *, slots: int, grace: float) -> None:
        self.slots = slots
        self._bench = bench
        self._specs = list({id(spec): spec for spec in specs.values()}.values())
        self._numbers = {id(spec): number for number, spec in enumerate(self._specs)}
        self._grace = grace
        self._idle: list[Worker] = []
        self._workers: dict[int, Worker] = {}
        self._ended: list[tuple[Task, Result]] = []
        self._selector = selectors.DefaultSelector()
        self._nursery = 0
        self._control: Inbox | None = None

    def __enter__(self) -> Self:
        self._found()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every worker and the nursery."""
        if self._control is None:
            return
        self._control.source.close()
        self._control = None
        for worker in list(self._workers.values()):
            self._forget(worker)
        os.waitpid(self._nursery, 0)
        self._selector.close()

    def launch(self, task: Task) -> None:
        """Begin an attempt in an idle worker; one is made when there is none."""
        worker = self._idle.pop() if self._idle else self._make()
        worker.task, worker.told, worker.began = task, "", time.monotonic()
        worker.ooms = death.ooms()
        timeout = task.spec.options.timeout
        worker.due = None if timeout is None else worker.began + timeout
        told = (task.node, task.number, task.needed(), task.checkpoint)
        failpoint("task.sent")
        try:
            send(worker.link, "run", self._numbers[id(task.spec)], told)
        except OSError:
            pass  # it just died: the nursery tells

    def wait(self, seconds: float | None) -> list[tuple[Task, Result]]:
        """Attempts that ended; waits for one at most `seconds`."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._ended:
            pauses = [due for due in (until, *(worker.due for worker in self._workers.values())) if due is not None]
            pause = max(min(pauses) - time.monotonic(), 0.0) if pauses else None
            for key, _ in doze(self._selector.select, pause):
                if key.fileobj in self._selector.get_map():  # else what came before it ended that worker
                    key.data()
            self._remind()
            if until is not None and time.monotonic() >= until:
                break
        ended, self._ended = self._ended, []
        return ended

    def stop(self, task: Task, *, now: bool) -> None:
        """Tell the step to end and, after the grace, kill its processes; `now` kills at once."""
        worker = next((worker for worker in self._workers.values() if worker.task is task), None)
        if worker is None:
            return
        if now or not worker.told:
            self._tell(worker, "stop", 0.0 if now else self._grace)

    def _tell(self, worker: Worker, why: str, grace: float) -> None:
        worker.told = worker.told or why
        worker.due = time.monotonic() + grace
        if grace > 0:
            try:
                os.kill(worker.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass  # the nursery will tell
        else:
            self._kill(worker)

    def _remind(self) -> None:
        """End those that ran out of time, and kill those that were told to end and did not."""
        now = time.monotonic()
        for worker in list(self._workers.values()):
            if worker.due is None or worker.due > now:
                continue
            if worker.told:
                self._kill(worker)
                worker.due = now + 1.0  # again, should it not be dead by then
            else:
                self._tell(worker, "timeout", self._grace)

    def _kill(self, worker: Worker) -> None:
        if self._control is not None:
            try:
                self._control.source.sendall(b" %d " % worker.pid)
            except OSError:
                return  # the nursery is gone, and the workers with it

    def _found(self) -> None:
        """Fork the nursery."""
        ours, theirs = socket.socketpair()
        for stream in (1, 2):
            self._flush(stream)
        with warnings.catch_warnings():
            # Native threads of numerical libraries, which mend themselves after a fork, are warned of as others are.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                bench, specs, grace = self._bench, self._specs, self._grace
                tend(theirs, lambda link, out, err: work(link, out, err, bench=bench, specs=specs, grace=grace))
            finally:
                os._exit(70)
        theirs.close()
        self._nursery, self._control = pid, Inbox(ours)
        self._selector.register(ours, selectors.EVENT_READ, self._news)

    @staticmethod
    def _flush(number: int) -> None:
        import sys  # beside the only use

        stream = (sys.stdout, sys.stderr)[number - 1]
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # nothing there to flush

    def _make(self) -> Worker:
        """A new worker."""
        if self._control is None:
            raise WorkerDied("the workers of this run are gone", "run again: what is finished is reused")
        link, theirs = socket.socketpair()
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        try:
            _widen(out)
            socket.send_fds(self._control.source, [b"fork"], [theirs.fileno(), out_end, err_end])
        except OSError as error:
            raise WorkerDied(f"no worker can be started: {error}", "run again: what is finished is reused") from error
        finally:
            theirs.close()
            os.close(out_end)
            os.close(err_end)
        worker = Worker(self._born(), link, out, err)
        self._workers[worker.pid] = worker
        self._selector.register(link, selectors.EVENT_READ, lambda: self._hear(worker))
        for name, pipe in worker.pipes.items():
            os.set_blocking(pipe, False)
            self._selector.register(pipe, selectors.EVENT_READ, lambda name=name: self._read(worker, name))
        return worker

    def _born(self) -> int:
        """The pid of the worker that was asked for."""
        while self._control is not None:
            message = self._control.wait()
            if message is None:
                break
            if message[0] == "born":
                return int(message[1])
            self._bury(*message[1:])
        self._orphaned()
        raise WorkerDied("the process that makes workers was killed", "run again: what is finished is reused")

    def _news(self) -> None:
        """What the nursery tells."""
        if self._control is None:
            return
        for message in self._control.poll():
            self._bury(*message[1:])
        if self._control.ended:
            self._orphaned()

    def _orphaned(self) -> None:
        """The nursery is gone, and its workers with it: a new one is founded."""
        if self._control is None:
            return
        self._selector.unregister(self._control.source)
        self._control.source.close()
        os.waitpid(self._nursery, 0)
        for worker in list(self._workers.values()):
            self._bury(worker.pid, 9, 0)
        self._found()

    def _bury(self, pid: int, status: int, peak: int) -> None:
        """A worker died: its attempt has the result that it sent last, or this death."""
        worker = self._workers.get(pid)
        if worker is None:
            return
        self._hear(worker)
        task = worker.task
        if task is not None:
            self._finish(worker, self._death(worker, task, status, peak))
        self._forget(worker)

    def _death(self, worker: Worker, task: Task, status: int, peak: int) -> Result:
        seconds = round(time.monotonic() - worker.began, 6)
        if worker.told == "stop":
            return Result(StepState.CANCELLED, {}, None, seconds=seconds)
        if worker.told == "timeout":
            error, fault = death.timed_out(task), Fault.USER
        elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM:
            return Result(StepState.PREEMPTED, {}, death.preempted(task), Fault.INFRASTRUCTURE, seconds=seconds)
        else:
            error, fault = death.explain(task, status, peak, oom=death.ooms() > worker.ooms)
        return Result(StepState.FAILED, {}, error, fault, seconds=seconds)

    def _hear(self, worker: Worker) -> None:
        """Messages of a worker: events of its attempt, and the result."""
        for message in worker.inbox.poll():
            self._obey(worker, message)
        if worker.inbox.ended and worker.link in self._selector.get_map():
            self._selector.unregister(worker.link)  # the nursery tells what became of it

    def _obey(self, worker: Worker, message: tuple[Any, ...]) -> None:
        what, task = message[0], worker.task
        if task is None:
            return
        if what == "event":
            kind, step, attempt, data, now = message[1:]
            self._bench.emit(kind, step, attempt, now=now, **data)
            if now and not failpoint("event.acknowledged"):
                send(worker.link, "noted")
        elif what == "result":
            failpoint("reply.received")
            *parcel, left = message[1:]
            self._finish(worker, self._unpack(worker, task, parcel))
            if left:
                self._kill(worker)
            else:
                self._idle.append(worker)
        elif what == "idle":
            error = WorkerDied(f"the result of step {task.node.id!r} was lost on its way", "it is tried again")
            self._finish(worker, Result(StepState.FAILED, {}, error, Fault.INFRASTRUCTURE))
            self._idle.append(worker)

    def _unpack(self, worker: Worker, task: Task, parcel: list[Any]) -> Result:
        state, outputs, blob, fault, told, seconds = parcel
        error = _error(blob, told)
        if state == StepState.CANCELLED:
            if worker.told == "timeout":
                return Result(StepState.FAILED, {}, death.timed_out(task), Fault.USER, seconds=seconds)
            if worker.told == "stop":
                return Result(StepState.CANCELLED, {}, None, seconds=seconds)
            if told.get("type") == "Terminated":
                return Result(StepState.PREEMPTED, {}, death.preempted(task), Fault.INFRASTRUCTURE, seconds=seconds)
        return Result(StepState(state), outputs, error, Fault(fault), told, seconds)

    def _finish(self, worker: Worker, result: Result) -> None:
        """The attempt is over: all that it printed first."""
        task = worker.task
        if task is None:
            return
        for name in worker.pipes:
            self._read(worker, name)
        worker.task, worker.due = None, None
        self._bench.capture.close_attempt(task.node.id, task.number)
        self._ended.append((task, result))

    def _read(self, worker: Worker, name: str) -> None:
        """What a worker printed, until there is no more."""
        pipe, task = worker.pipes[name], worker.task
        while True:
            try:
                data = os.read(pipe, PIPE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                if pipe in self._selector.get_map():
                    self._selector.unregister(pipe)
                return
            if task is not None:
                self._bench.capture.feed(task.node.id, task.number, name, data)

    def _forget(self, worker: Worker) -> None:
        del self._workers[worker.pid]
        if worker in self._idle:
            self._idle.remove(worker)
        for number in (worker.link.fileno(), *worker.pipes.values()):
            if number in self._selector.get_map():
                self._selector.unregister(number)
        worker.link.close()
        for pipe in worker.pipes.values():
            os.close(pipe)


def _error(blob: bytes, told: Mapping[str, Any]) -> BaseException | None:
    """What the step raised: the exception itself, or one of the same name and message."""
    if not told:
        return None
    try:
        error = pickle.loads(blob)  # noqa: S301 - our own child's
    except Exception:  # noqa: BLE001 - border of people's own classes
        error = None
    if not isinstance(error, BaseException):
        error = type(str(told["type"]).rpartition(".")[2], (Exception,), {})(told.get("message", ""))
    try:
        setattr(error, TOLD, told.get("traceback", ""))
    except (AttributeError, TypeError):
        pass  # a class of the user's that takes no more attributes
    return error  # type: ignore[no-any-return]


def _widen(pipe: int) -> None:
    import fcntl  # where there is one

    try:
        fcntl.fcntl(pipe, _SET_PIPE_SIZE, PIPE)
    except OSError:
        pass  # a smaller one works, too
