"""The nursery: a process that does nothing but fork workers, reap them, and kill what is left of them.

It has all that the user's program has imported and made so far, and no thread, so a worker is there in a millisecond.
When the driver is gone, however it went, the nursery kills every worker with all that descends from it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time

from core.pool import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

COMMAND = struct.Struct("!BxxxIi")
"""What the driver wants: an operation, the number of a seat, an argument. File descriptors travel beside `FORK`."""
FORK, SIGNAL, RETIRE, END = range(1, 5)
"""A worker for the seat; a signal for it (SIGKILL: its group); it leaves by itself or is killed; everything ends."""
_FDS = struct.Struct("iii")
"""A worker's socket, stdout and stderr."""
REPORT = struct.Struct("!BxxxIiiQ")
"""What the driver hears: kind, seat, and: process / wait status, lack of memory, peak bytes / number of an error."""
READY, REFUSED, BORN, GONE, BARREN = range(1, 6)
"""It is there; it can't be (text follows); a worker is there; one has ended; none could be forked."""
FAREWELL = 2.0
"""Seconds that a worker has to leave by itself."""
LINGER = 0.1
"""Seconds that what a worker leaves behind has to end by itself, as helpers do that see their pipe closed."""
PATIENCE = 4.0
"""Seconds after which what can't be killed (it hangs in the kernel) is given up."""
UNIT = 1 if os.uname().sysname == "Darwin" else 1024
"""Bytes in one unit of `ru_maxrss`."""
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1)


class Nursery:
    """Serves the driver. `work` is a worker's life, given its socket, its stdout and its stderr."""

    def __init__(self, control: socket.socket, driver: int, work: Callable[[socket.socket, int, int], None]) -> None:
        self._control = control
        self._driver = driver
        self._work = work
        self._pids: dict[int, int] = {}
        self._seats: dict[int, int] = {}
        self._memory: kernel.Memory | None = None
        self._leave: dict[int, float] = {}
        self._sweep: float | None = None
        self._woken, self._wake = os.pipe()
        self._poll = select.poll()

    def serve(self) -> NoReturn:
        """Until the driver is gone or says so. The caller has blocked all signals."""
        self._settle()
        self._report(READY)
        while True:
            self._wait()
            self._bury()
            while (command := self._command()) is not None:
                self._obey(*command)
            self._keep_time()

    def _settle(self) -> None:
        """Leave the driver's terminal and its signals; hear of its death, of the workers' and of their orphans."""
        if os.getpid() != os.getsid(0):
            os.setsid()
        for number in _IGNORED:  # somebody may send SIGTERM to all of us: it is the driver's to act
            signal.signal(number, signal.SIG_IGN)
        while (null := os.open(os.devnull, os.O_RDWR)) < 3:
            pass  # a program without standard streams: what a worker gets must not take their places
        os.close(null)
        for pipe in (self._woken, self._wake):
            os.set_blocking(pipe, False)
        signal.signal(signal.SIGCHLD, _woken_up)
        signal.signal(signal.SIGUSR2, _woken_up)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        kernel.ask(kernel.DIE_WITH_PARENT, signal.SIGUSR2)
        kernel.ask(kernel.ADOPT)
        kernel.ask(kernel.NAME, b"core-nursery")
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def _wait(self) -> None:
        times = [*self._leave.values(), *([] if self._sweep is None else [self._sweep])]
        pause = min(max(min(times) - time.monotonic(), 0.0), 1.0) if times else 1.0
        self._poll.poll(pause * 1000 + 1 if pause else 0)
        try:
            os.read(self._woken, 4096)
        except BlockingIOError:
            pass
        if os.getppid() != self._driver:
            self._end()

    def _command(self) -> tuple[int, int, int, list[int]] | None:
        """What the driver wants next: operation, seat, argument, file descriptors."""
        try:
            # not `socket.recv_fds`, which passes over its flags
            data, beside, _, _ = self._control.recvmsg(COMMAND.size, socket.CMSG_SPACE(_FDS.size), socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return None
        except ConnectionError:
            data, beside = b"", []
        if len(data) < COMMAND.size:
            self._end()
        fds = [fd for _, _, sent in beside for fd in _FDS.unpack(sent)]
        return *COMMAND.unpack(data), fds

    def _obey(self, what: int, seat: int, argument: int, fds: list[int]) -> None:
        if what == FORK:
            self._fork(seat, fds)
        elif what == END:
            self._end(FAREWELL)
        elif (pid := self._pids.get(seat)) is None:
            return
        elif what == RETIRE:
            self._leave[seat] = time.monotonic() + FAREWELL
        elif argument == signal.SIGKILL:
            kernel.kill(pid)
        else:
            os.kill(pid, argument)

    def _fork(self, seat: int, fds: list[int]) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # what comes at once is the worker's to handle
        try:
            pid = os.fork()
        except OSError as error:
            self._report(BARREN, seat, error.errno or 0)
            pid = -1
        if pid == 0:
            self._become_worker(*fds)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for fd in fds:
            os.close(fd)
        if pid > 0:
            self._pids[seat], self._seats[pid] = pid, seat
            self._report(BORN, seat, pid)
        self._memory = self._memory or kernel.Memory()

    def _become_worker(self, *fds: int) -> NoReturn:
        parent = os.getppid()
        try:
            os.setsid()
            kernel.ask(kernel.DIE_WITH_PARENT, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            kernel.ask(kernel.ADOPT)
            kernel.ask(kernel.NAME, b"core-worker")
            signal.set_wakeup_fd(-1)
            for number in (*_IGNORED, signal.SIGCHLD, signal.SIGUSR2):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._control.close()
            os.close(self._woken)
            os.close(self._wake)
            self._work(socket.socket(fileno=fds[0]), *fds[1:])
        finally:
            os._exit(1)

    def _bury(self) -> None:
        """Reap who died and report it. The group of a worker that was killed dies with it."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            seat = self._seats.pop(pid, None)
            if seat is None:
                continue  # an orphan
            del self._pids[seat]
            self._leave.pop(seat, None)
            killed = os.WIFSIGNALED(status)
            oom = (
                killed and os.WTERMSIG(status) == signal.SIGKILL and self._memory is not None and self._memory.ran_out()
            )
            if killed:
                kernel.kill(pid)
            self._sweep = time.monotonic() + (0 if killed else LINGER)
            self._report(GONE, seat, status, int(oom), usage.ru_maxrss * UNIT)

    def _keep_time(self) -> None:
        now = time.monotonic()
        for seat, until in list(self._leave.items()):
            if until <= now:
                del self._leave[seat]
                kernel.kill(self._pids[seat])
        if self._sweep is not None and self._sweep <= now:
            self._sweep = now + LINGER / 10 if self._kill(self._orphans()) else None

    def _orphans(self) -> list[int]:
        """What dead workers left: their descendants fall to us."""
        return [pid for pid in kernel.children() if pid not in self._seats]

    def _kill(self, pids: Iterable[int]) -> bool:
        """Kill them; whether there was one."""
        found = False
        for pid in pids:
            found = True
            kernel.kill(pid)
        return found

    def _report(self, what: int, seat: int = 0, first: int = 0, second: int = 0, peak: int = 0) -> None:
        try:
            self._control.sendall(REPORT.pack(what, seat, first, second, peak))
        except OSError:
            self._end()

    def _end(self, seconds: float = 0.0) -> NoReturn:
        """Kill every worker and what it left, and exit; workers may leave by themselves for some seconds."""
        self._poll.unregister(self._control)
        self._control.close()
        until = time.monotonic() + seconds
        while self._seats and time.monotonic() < until:
            self._poll.poll((until - time.monotonic()) * 1000 + 1)
            self._reap()
        linger = time.monotonic() + LINGER if seconds else 0.0
        self._kill(list(self._seats))
        give_up = time.monotonic() + PATIENCE
        while self._reap() and time.monotonic() < give_up:
            if time.monotonic() >= linger:
                self._kill([*self._seats, *kernel.children()])
            self._poll.poll(5)
        os._exit(0)

    def _reap(self) -> bool:
        """Reap without a report; whether a child is left."""
        try:
            os.read(self._woken, 4096)
        except BlockingIOError:
            pass
        try:
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                self._seats.pop(pid, None)
        except ChildProcessError:
            self._seats.clear()
            return False
        return True


def _woken_up(*_: object) -> None:
    """What it tells stands in the pipe of `set_wakeup_fd`."""
