"""The nursery: a fork of the driver that does nothing but fork workers, reap them, and end what is left of them.

It has all that the user's program has imported and made so far, so that a worker is ready in a millisecond. It has one
thread. When the driver is gone, however it went, the nursery kills every worker with all that descends from it.
"""

from __future__ import annotations

import os
import select
import signal
import socket

from core.pool.wire import send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SUBREAPER, _DEATH_SIGNAL = 36, 1
"""Of `prctl`: orphans below become our children; a signal for us when our parent dies."""


def tend(control: socket.socket, work: Callable[[socket.socket, int, int], None]) -> None:
    """Serve the driver until it is gone; never returns. `work` is what a worker does with socket, stdout and stderr."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    ask(_SUBREAPER)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    Nursery(control, work, woken, wake).run()


class Nursery:
    """What the nursery knows of its workers."""

    def __init__(
        self, control: socket.socket, work: Callable[[socket.socket, int, int], None], woken: int, wake: int
    ) -> None:
        self._control = control
        self._work = work
        self._woken = woken
        self._wake = wake
        self._workers: set[int] = set()

    def run(self) -> None:
        """Until the driver is gone."""
        while True:
            ready: list[object] = select.select([self._control, self._woken], [], [])[0]  # type: ignore[type-var]
            if self._woken in ready:
                try:
                    os.read(self._woken, 4096)
                except BlockingIOError:
                    pass
                self._reap()
            if self._control in ready and not self._hear():
                self._end()

    def _hear(self) -> bool:
        """Obey the driver; False when it is gone."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 64, 3)
        except ConnectionError:
            data, fds = b"", []
        if not data:
            return False
        if fds:
            self._fork(*fds)
        else:
            for word in data.split():
                self._kill(int(word))
        return True

    def _fork(self, *fds: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._become_worker(*fds)
        self._workers.add(pid)
        for fd in fds:
            os.close(fd)
        self._tell("born", pid)

    def _become_worker(self, *fds: int) -> None:
        code = 70
        try:
            parent = os.getppid()
            os.setsid()
            ask(_DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(code)
            ask(_SUBREAPER)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._control.close()
            os.close(self._woken)
            os.close(self._wake)
            for fd in fds:
                os.set_inheritable(fd, False)  # noqa: FBT003 - the only way
            self._work(socket.socket(fileno=fds[0]), *fds[1:])
            code = 0
        finally:
            os._exit(code)

    def _kill(self, pid: int) -> None:
        if pid in self._workers:
            _kill_group(pid)

    def _reap(self) -> None:
        """Tell the driver of workers that died; what they left is killed."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            if pid in self._workers:
                self._workers.discard(pid)
                _kill_group(pid)
                self._tell("dead", pid, status, usage.ru_maxrss)
        for orphan in _children():
            if orphan not in self._workers:
                _kill_group(orphan)

    def _tell(self, *message: object) -> None:
        try:
            send(self._control, *message)
        except OSError:
            self._end()

    def _end(self) -> None:
        """Kill everything below; workers are killed over and over until none is left."""
        while True:
            for pid in self._workers | set(_children()):
                _kill_group(pid)
            try:
                pid, _ = os.wait()
            except ChildProcessError:
                os._exit(0)
            self._workers.discard(pid)


def ask(option: int, value: int = 1) -> None:
    """`prctl(option, value)` where there is one."""
    import ctypes  # only here

    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        return  # no Linux: the driver's end is still heard, orphans of killed workers are not found


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []
