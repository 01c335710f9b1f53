"""How the nursery comes to be: a fork of the driver, or a fresh Python that is told everything.

A fork has all that the program has, at once. It is not safe beside other threads of Python, after a GPU was
initialised, with libraries that can't stand it (JAX, TensorFlow), or on macOS; there a fresh Python starts, and what
the steps are travels to it, functions of `__main__` and notebooks by value. `CORE_START=fork` or `CORE_START=fresh` in
the environment chooses.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import warnings

from core.errors import ConfigurationError
from core.model.value import Value
from core.pool.handle import Handle
from core.pool.nursery import Nursery
from core.streams import FLUSHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from core.execute import Bench
    from core.model.spec import StepSpec

WAYS = ("auto", "fork", "fresh")
_FORK_BREAKS = ("jax", "tensorflow")


class Kit(Value):
    """What a worker needs to know beforehand."""

    bench: Bench
    specs: Sequence[StepSpec]
    """The run's steps; a task names one by its place."""
    grace: float
    thrown: Mapping[str, bytes]
    """See `core.pool.dice`."""


def start(kit: Kit, way: str = "auto") -> Handle:
    """A new nursery. Raises `ConfigurationError` when steps can't travel to one."""
    way = os.environ.get("CORE_START") or way
    if way not in WAYS:
        raise ConfigurationError(f"CORE_START={way!r} is no way to start workers", f"it is one of {', '.join(WAYS)}")
    fresh = way == "fresh" or (way == "auto" and bool(why_not_fork()))
    ours, theirs = socket.socketpair()
    try:
        if fresh:
            from core.pool.fresh import spawn  # start-up time: most programs can be forked

            return spawn(kit, ours, theirs)
        return Handle(ours, _fork(kit, ours, theirs))
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()


def why_not_fork() -> str:
    """Why a fork of this process might hang or crash; empty when it is safe."""
    if sys.platform == "darwin":
        return "libraries of macOS can't stand it"
    if others := [thread for thread in threading.enumerate() if _is_in_the_way(thread)]:
        return f"thread {others[0].name!r} is at work"
    for name in _FORK_BREAKS:
        if name in sys.modules:
            return f"{name} can't stand it"
    try:
        for fd in os.listdir("/proc/self/fd"):
            if _target(fd).startswith(("/dev/nvidia", "/dev/kfd")):
                return "a GPU was initialised"
    except OSError:
        return ""
    return ""


def _is_in_the_way(thread: threading.Thread) -> bool:
    return thread is not threading.current_thread() and thread.name != FLUSHER


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def _fork(kit: Kit, ours: socket.socket, theirs: socket.socket) -> int:
    _write_out()
    _pause_openmp()
    driver = os.getpid()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # no handler of ours in the child
    try:
        with warnings.catch_warnings():
            # Native threads are counted, too: those of OpenBLAS and OpenMP mend themselves after a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _become_nursery(kit, ours, theirs, driver)
    finally:
        if os.getpid() == driver:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return pid


def _become_nursery(kit: Kit, ours: socket.socket, theirs: socket.socket, driver: int) -> NoReturn:
    try:
        ours.close()
        tend(kit, theirs, driver)
    finally:
        os._exit(1)


def tend(kit: Kit, control: socket.socket, driver: int) -> NoReturn:
    """Be the nursery."""
    from functools import partial  # start-up time: the driver does without

    from core.pool.worker import work  # start-up time: the same

    bench, specs, grace, thrown = kit
    _warm(bench)
    Nursery(control, driver, partial(work, bench=bench, specs=specs, thrown=thrown, grace=grace)).serve()


def _warm(bench: Bench) -> None:
    """Import what nearly every attempt needs, once for all workers."""
    try:
        bench.materializers.for_value(0)
    except Exception:  # noqa: BLE001 - border of plugins: the attempt that needs it tells
        return


def _write_out() -> None:
    """What streams hold now would be written twice."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]
        except (OSError, ValueError, AttributeError):
            continue


def _pause_openmp() -> None:
    """End the threads of GNU's OpenMP (scikit-learn, torch): a fork would wait for ever for those that it lacks."""
    try:
        if len(os.listdir("/proc/self/task")) <= threading.active_count():
            return
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            found = {line.split(maxsplit=5)[-1].rstrip("\n") for line in file if "libgomp" in line}
    except OSError:
        return
    for path in found:
        import ctypes  # start-up time: few programs have used OpenMP by now

        try:
            ctypes.CDLL(path).omp_pause_resource_all(2)
        except (OSError, AttributeError):
            continue  # an old one: before GCC 9
