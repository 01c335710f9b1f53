"""A seat of the pool: the driver's end of one worker, and the attempt that it is at."""

from __future__ import annotations

import os
import socket
import time

from core.pool.wire import PIECE, Inbox, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.execute import Task

READ = 1 << 18
"""Bytes of output taken at once."""
_SET_PIPE_SIZE = 1031


class Seat:
    """Made with the ends that the worker gets; `born` closes those here."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0
        """Of the worker; 0 until the nursery tells."""
        self.task: Task | None = None
        self.count = 0
        """Tasks that it was sent."""
        self.began = 0.0
        """When it was sent the last."""
        self.due: float | None = None
        """When to look at it: its time is over, or it has not ended though it was told to."""
        self.wish = ""
        """Why it was told to end: `stop` or `timeout`."""
        self.overdue = False
        """Whether it did not end in time when it was told to."""
        self.noted = 0
        """Number of the last event that the worker wanted to be durable, which is."""
        self.ended = False
        """Whether it closed its end."""
        self._inbox = Inbox()
        self._outgoing = bytearray()
        self.link, self._theirs = socket.socketpair()
        try:
            self._pipes = [*os.pipe(), *os.pipe()]
        except OSError:
            self.link.close()
            self._theirs.close()
            raise
        self.link.setblocking(False)  # noqa: FBT003 - the name of the method says it
        for pipe in self.pipes.values():
            os.set_blocking(pipe, False)
            _widen(pipe)

    @property
    def pipes(self) -> dict[str, int]:
        """Where its output is read, by stream."""
        return {"stdout": self._pipes[0], "stderr": self._pipes[2]}

    def hand_over(self, fork: Callable[[int, list[int]], None]) -> None:
        """Give the worker's ends away."""
        try:
            fork(self.number, [self._theirs.fileno(), self._pipes[1], self._pipes[3]])
        finally:
            self._theirs.close()
            os.close(self._pipes[1])
            os.close(self._pipes[3])

    def alive(self) -> bool:
        """Whether the worker has not closed its end, as the kernel does for one that is killed."""
        try:
            return bool(self.link.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def send(self, *message: Any) -> bool:
        """Send a message, or as much of it as goes now; whether all of it went."""
        self._outgoing += encode(*message)
        return self.push()

    def push(self) -> bool:
        """Send what waits; whether nothing does any more."""
        try:
            while self._outgoing:
                del self._outgoing[: self.link.send(self._outgoing)]
        except BlockingIOError:
            return False
        except OSError:
            self._outgoing.clear()  # it has just died: the nursery tells
        return True

    def messages(self) -> list[tuple[Any, ...]]:
        """What it sent since."""
        found = []
        try:
            while not self.ended:
                data = self.link.recv(PIECE)
                self._inbox.add(data)
                self.ended = not data
                if 0 < len(data) < PIECE:
                    break
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
        while (message := self._inbox.next()) is not None:
            found.append(message)
        return found

    def output(self, stream: str) -> bytes | None:
        """What it printed next; empty when nothing more is there now, None when it never will be."""
        try:
            return os.read(self.pipes[stream], READ) or None
        except BlockingIOError:
            return b""

    def seconds(self) -> float:
        """Since the attempt was sent."""
        return round(time.monotonic() - self.began, 6)

    def dismiss(self) -> None:
        """The worker is to leave: it hears so also when another child of the program has a copy of the socket."""
        try:
            self.link.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has left

    def close(self) -> None:
        """Let go of the worker."""
        self.link.close()
        os.close(self._pipes[0])
        os.close(self._pipes[2])


def _widen(pipe: int) -> None:
    """A step that prints waits less often for the driver."""
    import fcntl  # start-up time: only here

    try:
        fcntl.fcntl(pipe, _SET_PIPE_SIZE, READ)
    except OSError:
        return  # another system, or a person's pipes have all the memory that they may have
