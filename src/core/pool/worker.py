"""A worker: performs one attempt after another for the driver, with file descriptors 1 and 2 as the step's output."""

from __future__ import annotations

import io
import os
import pickle
import random
import signal
import sys
import threading

from core.capture import point_handlers
from core.context import running
from core.errors import UsageError
from core.execute import Task, error_data, perform
from core.faults import failpoint
from core.interrupt import Interruptible
from core.model.plan import Action, Decision
from core.pool.wire import Inbox, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    from core.execute import Bench, Outputs, Result
    from core.model.artifact import ArtifactRef
    from core.model.spec import StepSpec

_DECIDED = Decision(Action.RUN, "")
FLUSH = 0.5
"""Seconds between two flushes of what a step printed."""


def work(
    driver: socket.socket, stdout: int, stderr: int, *, bench: Bench, specs: Sequence[StepSpec], grace: float
) -> None:
    """Serve the driver until it is gone."""
    output = Output(stdout, stderr)
    _reseed()
    sys.breakpointhook = _no_terminal
    inbox = Inbox(driver)
    relay = Relay(driver, inbox)
    bench = bench._replace(emit=relay.emit, capture=output)  # type: ignore[arg-type]  # as much of one as `perform` needs
    surroundings = Surroundings()
    while (message := inbox.wait()) is not None:
        node, attempt, inputs, checkpoint = message[2]
        task = Task(node, specs[message[1]], _DECIDED, attempt, inputs, checkpoint)
        failpoint("task.received")
        result = _one(bench._replace(trusted=_known(task.inputs, task.checkpoint).__contains__), task, grace)
        output.restore()
        surroundings.restore()
        left = _left_behind()
        if not failpoint("task.replied"):
            send(driver, "result", *_parcel(result), left)
        else:
            send(driver, "idle")
        failpoint("worker.idle")


def _one(bench: Bench, task: Task, grace: float) -> Result:
    with Interruptible(grace):
        return perform(bench, task)


def _parcel(result: Result) -> tuple[Any, ...]:
    """State, outputs, error, fault, told and seconds of a result, so that any error can travel."""
    told: Mapping[str, Any] = {}
    blob = b""
    if result.error is not None:
        told = error_data(result.error)
        try:
            blob = pickle.dumps(result.error)
        except Exception:  # noqa: BLE001 - border of people's own classes
            blob = b""
    return str(result.state), result.outputs, blob, str(result.fault), dict(told), result.seconds


def _known(inputs: Mapping[str, Outputs], checkpoint: ArtifactRef | None) -> set[str]:
    """Digests that the driver handed over: those that the tracking store recorded."""
    refs = [ref for outputs in inputs.values() for ref in outputs.values()]
    refs += [checkpoint] if checkpoint else []
    return {digest for ref in refs for digest in (ref.digest, *ref.parts)}


def _left_behind() -> bool:
    """Whether the step left processes or threads at work: then this worker is not used again."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    return True  # a process lives


class Relay:
    """Hands the events of an attempt to the driver."""

    def __init__(self, driver: socket.socket, inbox: Inbox) -> None:
        self._driver = driver
        self._inbox = inbox
        self._lock = threading.Lock()
        self._process = os.getpid()

    def emit(self, kind: str, step: str = "", attempt: int = 0, *, now: bool = False, **data: Any) -> None:
        """Note an event; with `now` it returns when that is durable."""
        if os.getpid() != self._process:
            raise UsageError(
                "a process that a step forked can't record anything of the step", "do it in the step itself"
            )
        with self._lock:
            send(self._driver, "event", str(kind), step, attempt, data, now)
            if now and self._inbox.wait() is None:
                os._exit(70)  # the driver is gone


class Output:
    """The step's output: new streams over file descriptors 1 and 2, which are pipes to the driver."""

    def __init__(self, stdout: int, stderr: int) -> None:
        self._pipes = (stdout, stderr)
        self.process = os.getpid()
        """Id of the process that the attempts belong to."""
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self._streams: list[Any] = []
        old = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
        self._old = old  # never closed or flushed here: what they hold is the driver's to write
        self._plug()
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open
        for number in (1, 2):
            raw = io.BufferedWriter(io.FileIO(number, "wb", closefd=False), 1 << 16)
            stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
            self._streams.append(stream)
            point_handlers(tuple(each for each in old[number - 1 :: 2] if each is not None), stream)
        self._put_back()
        threading.Thread(target=self._keep, name="core-output", daemon=True).start()

    def begin(self, step: str, attempt: int) -> None:
        """Nothing: all that is written until `restore` belongs to the attempt."""

    def end(self) -> None:
        """Write out what the streams hold."""
        for stream in (sys.stdout, sys.stderr, *self._streams):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue  # closed, or another program's

    def restore(self) -> None:
        """What the step closed or replaced is there again."""
        self._plug()
        self._put_back()

    def _plug(self) -> None:
        for number, pipe in enumerate(self._pipes, 1):
            os.dup2(pipe, number)

    def _put_back(self) -> None:
        for number in (0, 1):
            if self._streams[number].closed:
                raw = io.BufferedWriter(io.FileIO(number + 1, "wb", closefd=False), 1 << 16)
                self._streams[number] = io.TextIOWrapper(
                    raw, encoding="utf-8", errors="backslashreplace", write_through=True
                )
        sys.stdout, sys.stderr = self._streams
        sys.__stdout__, sys.__stderr__ = self._streams  # type: ignore[misc]

    def _keep(self) -> None:
        quiet = threading.Event()
        while True:
            quiet.wait(FLUSH)
            for stream in self._streams:
                try:
                    stream.flush()
                except (OSError, ValueError):
                    continue


class Surroundings:
    """What a step may change of the process, put back after it."""

    def __init__(self) -> None:
        self._folder = os.getcwd()
        self._environment = dict(os.environ)
        self._mask = os.umask(0)
        os.umask(self._mask)

    def restore(self) -> None:
        """As it was when the worker was made."""
        os.umask(self._mask)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in ((signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
            signal.signal(number, handler)
        try:
            os.chdir(self._folder)
        except OSError:
            pass  # it is gone; so it is for every other step
        if dict(os.environ) != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)


def _reseed() -> None:
    """Steps that run side by side must not draw the same numbers."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def _no_terminal(*_: object, **__: object) -> NoReturn:
    step = running()
    where = f" of step {step.step!r}" if step else ""
    raise UsageError(
        f"breakpoint(){where} has no terminal in a worker process",
        "debug with `--workers 1`, which runs steps in one process",
    )
