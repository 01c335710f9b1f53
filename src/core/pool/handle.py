"""The driver's hold of the nursery: what it wants of it, and what it hears."""

from __future__ import annotations

import os
import signal
import socket
import time

from core.errors import ConfigurationError
from core.interrupt import doze
from core.pool.nursery import COMMAND, END, FAREWELL, FORK, PATIENCE, READY, REFUSED, REPORT, RETIRE, SIGNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Handle:
    """The driver's hold of a nursery."""

    def __init__(self, control: socket.socket, pid: int) -> None:
        self.control = control
        self.pid = pid
        self.gone = False
        """Whether it has died."""
        self._data = b""

    def fork(self, seat: int, fds: Sequence[int]) -> None:
        """Want a worker, with these as its socket, stdout and stderr. Raises OSError when the nursery is gone."""
        socket.send_fds(self.control, [COMMAND.pack(FORK, seat, 0)], fds)

    def signal(self, seat: int, number: int) -> None:
        """Send a signal to a worker; SIGKILL goes to its whole group."""
        self._want(SIGNAL, seat, number)

    def retire(self, seat: int) -> None:
        """A worker leaves; what is left of it soon is killed."""
        self._want(RETIRE, seat)

    def _want(self, what: int, seat: int = 0, argument: int = 0) -> None:
        try:
            self.control.sendall(COMMAND.pack(what, seat, argument))
        except OSError:
            pass  # it is gone, and so are the workers; `reports` tells

    def reports(self) -> list[tuple[int, ...]]:
        """What it reported since, in order."""
        while not self.gone:
            try:
                data = self.control.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except ConnectionError:
                data = b""
            self.gone = not data
            self._data += data
        size = len(self._data) // REPORT.size * REPORT.size
        found, self._data = list(REPORT.iter_unpack(self._data[:size])), self._data[size:]
        return found

    def greet(self) -> None:
        """Wait until it is ready. Raises what it says when it can't be."""
        with self.control.dup() as control:
            head = _receive(control, REPORT.size)
            kind, _, length, _, _ = REPORT.unpack(head) if head else (0,) * 5
            if kind == READY:
                return
            said = _receive(control, length).decode("utf-8", "replace") if kind == REFUSED else ""
        hint = "see what it printed; CORE_START=fork starts workers as copies of this process"
        raise ConfigurationError(f"a fresh Python for workers can't do the steps: {said or 'it ended at once'}", hint)

    def end(self) -> None:
        """End it with all its workers, and wait for that."""
        self._want(END)
        self.control.settimeout(FAREWELL + PATIENCE + 1)
        try:
            while not self.gone and doze(self.control.recv, 1 << 16):
                pass
        except OSError:
            pass  # it hangs
        finally:
            self.close()

    def close(self) -> None:
        """Let go of it: it ends, and is reaped."""
        self.control.close()
        until = time.monotonic() + PATIENCE + 1
        try:
            while not os.waitpid(self.pid, os.WNOHANG)[0]:
                if time.monotonic() > until:
                    os.kill(self.pid, signal.SIGKILL)
                time.sleep(0.0005)
        except ChildProcessError:
            return  # the program reaps by itself


def _receive(control: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = doze(control.recv, size - len(data))
        if not more:
            return b""
        data += more
    return data
