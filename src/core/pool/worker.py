"""A worker: performs one attempt after another for the driver, each as if the process were new."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
import time

from core import capture
from core.errors import UsageError
from core.execute import Result, Task, perform
from core.faults import failpoint
from core.interrupt import Interruptible, Terminated
from core.model.plan import Action, Decision
from core.model.states import Fault, StepState
from core.pool import dice
from core.pool.travel import pack
from core.pool.wire import Link
from core.streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from types import FrameType
    from typing import Any, NoReturn

    from core.execute import Bench, Outputs
    from core.model.artifact import ArtifactRef
    from core.model.graph import Node
    from core.model.spec import StepSpec

_DECISION = Decision(Action.RUN, "")
"""The driver made it and recorded it; nothing in an attempt asks for it."""
_SILENT = ("tqdm._monitor",)
"""Modules whose threads only watch: a worker in which one is left may be used again."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)


class Worker:
    """The process. `specs` are the run's steps, by the numbers that the driver gave them."""

    def __init__(
        self,
        link: Link,
        streams: Streams,
        bench: Bench,
        specs: Sequence[StepSpec],
        thrown: Mapping[str, bytes],
        grace: float,
    ) -> None:
        self._link = link
        self._streams = streams
        self._specs = specs
        self._thrown = thrown
        self._process = os.getpid()
        self._known: set[str] = set()
        self._received = 0
        self._asked = 0
        self._told = Told(0.9 * grace)
        self._told.__enter__()
        self._bench = bench._replace(emit=self._emit, capture=streams, trusted=self._trusts)  # type: ignore[arg-type]
        self._threads = set(threading.enumerate())
        self._surroundings = Surroundings()
        os.register_at_fork(after_in_child=self._forked)

    def serve(self) -> None:
        """Until the driver wants no more of this worker."""
        failpoint("worker.forked")
        while (message := self._link.receive(self._idle)) is not None:
            if message[0] == "run":  # else the late answer to something that an interrupted step asked
                _, self._received, spec, node, number, inputs, checkpoint = message
                del message
                failpoint("task.received")
                if self._attempt(self._specs[spec], node, number, inputs, checkpoint):
                    break
                failpoint("worker.idle")

    def _attempt(
        self,
        spec: StepSpec,
        node: Node,
        number: int,
        inputs: Mapping[str, Outputs],
        checkpoint: ArtifactRef | None,
    ) -> bool:
        """One attempt, its result to the driver, and whether the step left something at work in this process."""
        refs = [ref for outputs in inputs.values() for ref in outputs.values()]
        refs += [checkpoint] if checkpoint else []
        self._known = {digest for ref in refs for digest in (ref.digest, *ref.parts)}
        dice.seed(self._thrown, node.id, number)
        self._told.begin()
        try:
            result = perform(self._bench, Task(node, spec, _DECISION, number, inputs, checkpoint))
        except BaseException as error:  # noqa: BLE001 - border of the attempt: what came between two of its parts
            result = _torn(error)
        self._told.hold()
        terminated = isinstance(result.error, Terminated)
        left = terminated or self._left_behind()
        parcel = str(result.state), dict(result.outputs), pack(result.error), str(result.fault), result.seconds
        if result.error is not None:
            result.error.__traceback__ = None  # its frames hold what the step worked on
        if not failpoint("task.replied"):
            self._link.send("result", self._received, *parcel, terminated, left)
        if not left:
            self._told.rest()
            self._surroundings.restore()
            self._streams.restore()
        return left

    def _left_behind(self) -> bool:
        """Whether processes or threads of the step still run: what they write would seem to be the next attempt's."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            new = [thread for thread in threading.enumerate() if thread not in self._threads]
            return any(type(thread).__module__ not in _SILENT for thread in new)
        return True

    def _trusts(self, digest: str) -> bool:
        return digest in self._known

    def _emit(self, kind: str, step: str = "", attempt: int = 0, *, now: bool = False, **data: Any) -> None:
        """Hand an event to the driver; with `now` it returns when that is durable, or raises what kept it from it."""
        if os.getpid() != self._process:
            raise UsageError(
                f"a process that step {step!r} forked can't record anything of it", "do it in the step itself"
            )
        link = self._link
        with link.lock:
            self._asked += now
            link.send("event", self._asked, str(kind), step, attempt, data, now)
            while now:
                answer = link.receive(lambda: link.send("asks", self._asked))
                if answer is None:
                    os._exit(1)  # the driver is gone
                if answer[1] == self._asked:
                    if answer[2] is not None:
                        raise answer[2]
                    return

    def _idle(self) -> None:
        """Say that nothing is at work here: the driver finds out what was lost."""
        self._link.send("idle", self._received, time.monotonic())

    def _forked(self) -> None:
        """In a child that a step forked: it must not speak for the worker."""
        if os.getpid() != self._process:
            self._link.close()


class Told(Interruptible):
    """Tells the step of SIGINT and SIGTERM. Between two attempts they end the process."""

    def __init__(self, grace: float) -> None:
        super().__init__(grace)
        self._at_work = False
        self._heard = 0

    def begin(self) -> None:
        """An attempt begins."""
        self.told, self._count, self._held, self._telling = None, 0, False, False
        self._at_work = True

    def hold(self) -> None:
        """The attempt is over, the driver is being told: a signal that comes now has come between two attempts."""
        super().hold()
        self._heard = self._count

    def rest(self) -> None:
        """The driver has been told."""
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before.pop(signal.SIGALRM))
        self._at_work = False
        if self._count > self._heard:
            self._arrived(signal.SIGTERM, None)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if not self._at_work and os.getpid() == self._pid:
            signal.signal(number, signal.SIG_DFL)
            os.kill(self._pid, number)
        else:
            super()._arrived(number, frame)


class Surroundings:
    """What a step may change of the process around it, put back after each attempt."""

    def __init__(self) -> None:
        try:
            self._folder = os.open(".", os.O_RDONLY)
        except OSError:
            self._folder = -1  # it is gone, or not to be read
        self._mask = os.umask(0)
        os.umask(self._mask)
        self._environment = dict(os.environ)
        self._raw = dict(getattr(os.environ, "_data", {}))  # ten times as fast to compare as the mapping itself
        self._handlers = [(number, signal.getsignal(number)) for number in _SIGNALS]

    def restore(self) -> None:
        """As it was when the worker was made."""
        if self._folder >= 0:
            os.fchdir(self._folder)
        os.umask(self._mask)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.setitimer(signal.ITIMER_REAL, 0)
        if getattr(os.environ, "_data", None) != self._raw:
            os.environ.clear()
            os.environ.update(self._environment)
        for number, handler in self._handlers:
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)


def work(
    driver: socket.socket,
    stdout: int,
    stderr: int,
    *,
    bench: Bench,
    specs: Sequence[StepSpec],
    thrown: Mapping[str, bytes],
    grace: float,
) -> NoReturn:
    """The life of a worker, from the fork to the exit."""
    gc.freeze()  # pages that are shared with the nursery stay shared
    atexit._clear()  # what the program registered is the driver's to do
    capture.forget()
    streams = Streams(stdout, stderr)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    code = 1
    try:
        Worker(Link(driver), streams, bench, specs, thrown, grace).serve()
        _leave()
        code = 0
    except BaseException as error:  # noqa: BLE001 - border of the process: the driver names the attempt that it ends
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        streams.flush()
        os._exit(code)


def _leave() -> None:
    """What programs do when they end; the nursery waits for it, but not for long."""
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        multiprocessing._exit_function()
    atexit._run_exitfuncs()


def _torn(error: BaseException) -> Result:
    if isinstance(error, Exception):
        return Result(StepState.FAILED, {}, error, Fault.INFRASTRUCTURE)
    return Result(StepState.CANCELLED, {}, error)
