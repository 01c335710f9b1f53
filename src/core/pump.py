"""Between a job and who reads its output: a process that takes all at once, and passes on what the reader can bear.

An engine that keeps and sends each line is a hundred times slower than a step that prints. So the beginning is passed
on whole, and of what follows, where it comes faster, the newest, with a line where something is left out.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

RATE = 2 << 20
"""Bytes that are passed on each second after the beginning, in one piece of what was printed."""
WAITING = 32 << 20
"""Bytes of the beginning that wait at most; of more the job waits."""
NEWEST = 8 << 20
"""Bytes of what follows that wait at most; when the job has ended, they are passed on."""
BLOCK = 1 << 16
PIECE = 4096
"""Bytes that a pipe takes without a wait when it says that it takes some."""
PIPE = 1 << 20
"""Bytes that wait in the pipe, where the system lets us have as many."""
HANDED_ON = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
"""Signals that are the job's."""
LOOK = 0.1
"""Seconds between two looks whether the job has ended; when it closes its output, which it does, nobody waits."""


def split(beginning: int) -> int:
    """Go on as a child whose stdout and stderr are pumped; gives the pid of the parent, which ends as the child does.

    `beginning` bytes are passed on whole.
    """
    parent, (out, into) = os.getpid(), os.pipe()
    try:
        import fcntl  # not on every system

        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, PIPE)
    except (ImportError, AttributeError, OSError):
        pass  # a smaller one does
    child = os.fork()
    if child:
        os.close(into)
        Pump(child, out, beginning).run()
    os.close(out)
    os.dup2(into, 1)
    os.dup2(into, 2)
    os.close(into)
    return parent


class Pump:
    """The parent's life."""

    def __init__(self, child: int, source: int, beginning: int) -> None:
        self._child, self._source = child, source
        self._beginning = beginning
        self._leaving: deque[bytes] = deque()  # is passed on: the beginning, then what is chosen each second
        self._later: deque[bytes] = deque()  # whole lines, of which the oldest are left out
        self._sizes = {id(self._leaving): 0, id(self._later): 0}
        self._lost = 0  # bytes left out before what comes later
        self._rest = b""  # a line without an end
        self._next = time.monotonic()  # when something is chosen
        self._broken = False  # the last line that is passed on has no end
        self._gone = False  # nobody reads what we write

    def run(self) -> NoReturn:
        """Until the child has ended; then with its exit code, as a shell tells it."""
        for number in HANDED_ON:
            signal.signal(number, self._hand_on)
        code, is_open = None, True
        while code is None:
            if is_open:
                is_open = self._turn()
            else:
                self._choose(NEWEST)
                if not self._leaving:
                    time.sleep(LOOK / 10)  # what it has closed says nothing of its end
                elif select.select([], [1], [], LOOK / 10)[1]:  # nobody waits for a slow reader while it may end
                    self._pass(PIECE)
            code = self._ended()
        for number in HANDED_ON:
            signal.signal(number, signal.SIG_IGN)  # there is nobody to tell, and what it said is to arrive
        while is_open and select.select([self._source], [], [], 0)[0]:  # what it started may go on
            is_open = self._take()
        self._add(self._later, self._rest)
        self._choose(NEWEST)
        while self._leaving:
            self._pass(BLOCK)
        os._exit(code)

    def _hand_on(self, number: int, _: object) -> None:
        with suppress(ProcessLookupError):  # it has ended just now
            os.kill(self._child, number)

    def _ended(self) -> int | None:
        pid, status = os.waitpid(self._child, os.WNOHANG)
        if not pid:
            return None
        code = os.waitstatus_to_exitcode(status)
        return 128 - code if code < 0 else code

    def _turn(self) -> bool:
        """Take what comes, pass on what may be; whether more may come."""
        if self._later and not self._leaving and time.monotonic() >= self._next:
            self._choose(RATE)
        due = [1] if self._leaving else []
        readable, writable, _ = select.select([self._source], due, [], LOOK)
        if writable:
            self._pass(PIECE)
        return self._take() if readable else True

    def _take(self) -> bool:
        data = os.read(self._source, BLOCK)
        if self._beginning > 0:
            self._beginning -= len(data)
            self._broken = not data.endswith(b"\n")
            self._add(self._leaving, data)
            while self._sizes[id(self._leaving)] > WAITING:
                self._pass(PIECE)
        elif data:
            data = self._rest + data
            cut = data.rfind(b"\n") + 1 or (len(data) if len(data) > BLOCK else 0)
            self._rest = data[cut:]
            self._add(self._later, data[:cut])
            while self._sizes[id(self._later)] > NEWEST:
                self._lost += len(self._pop(self._later))
        return bool(data)

    def _choose(self, size: int) -> None:
        """Let `size` bytes of what came later leave; a line tells what was left out before."""
        self._next = time.monotonic() + 1.0
        if self._lost:
            end = "\n" if self._broken else ""
            self._add(self._leaving, f"{end}... {self._lost:,} bytes left out ...\n".encode())
            self._lost = 0
        while self._later and size > 0:
            block = self._pop(self._later)
            size -= len(block)
            self._broken = not block.endswith(b"\n")
            self._add(self._leaving, block)

    def _add(self, to: deque[bytes], data: bytes) -> None:
        if data and not self._gone:
            to.append(data)
            self._sizes[id(to)] += len(data)

    def _pop(self, of: deque[bytes]) -> bytes:
        block = of.popleft()
        self._sizes[id(of)] -= len(block)
        return block

    def _pass(self, size: int) -> None:
        """Pass on at most `size` bytes."""
        if not self._leaving:
            return
        block = self._pop(self._leaving)
        if len(block) > size:
            self._leaving.appendleft(block[size:])
            self._sizes[id(self._leaving)] += len(block) - size
        self._write(block[:size])

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left and not self._gone:
            try:
                left = left[os.write(1, left) :]
            except OSError:
                self._gone = True
