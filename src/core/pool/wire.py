"""Messages between the driver and a worker: pickled plain data with its length before it, on a stream socket."""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
from socket import SO_RCVTIMEO, SOL_SOCKET
from threading import RLock
from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

_HEAD = struct.Struct("!Q")
_TIME = struct.Struct("ll")
"""Seconds and microseconds."""
PIECE = 1 << 16
"""Bytes read from a socket at once."""
REMIND = 1.0
"""Seconds without a message after which a worker says what it waits for: nothing that is lost may hang for ever."""


def encode(*message: Any) -> memoryview:
    """The bytes of a message."""
    buffer = io.BytesIO(b"\0" * _HEAD.size)
    buffer.seek(_HEAD.size)
    _Pickler(buffer, 5).dump(message)
    data = buffer.getbuffer()
    _HEAD.pack_into(data, 0, len(data) - _HEAD.size)
    return data


class _Pickler(pickle.Pickler):
    """Takes the frozen mappings of values, too."""

    dispatch_table = copyreg.dispatch_table.copy()
    dispatch_table[MappingProxyType] = lambda mapping: (dict, (dict(mapping),))


class Inbox:
    """Puts messages together from what arrives."""

    def __init__(self) -> None:
        self._data = bytearray()

    def __bool__(self) -> bool:
        """Whether a part of a message is there."""
        return bool(self._data)

    def add(self, data: bytes) -> None:
        """These bytes arrived."""
        self._data += data

    def next(self) -> tuple[Any, ...] | None:
        """The first message that is whole, taken out."""
        if len(self._data) < _HEAD.size:
            return None
        (length,) = _HEAD.unpack_from(self._data)
        end = _HEAD.size + length
        if len(self._data) < end:
            return None
        with memoryview(self._data) as view, view[_HEAD.size : end] as body:
            message: tuple[Any, ...] = pickle.loads(body)  # noqa: S301 - of our own child or parent
        del self._data[:end]
        return message


class Link:
    """A worker's end of the socket. Threads of a step may share it."""

    def __init__(self, driver: socket.socket) -> None:
        self._socket = driver
        self._inbox = Inbox()
        # The kernel's timeout instead of `settimeout`, which asks `poll` before each read.
        driver.setsockopt(SOL_SOCKET, SO_RCVTIMEO, _TIME.pack(int(REMIND), int(REMIND % 1 * 1e6)))
        self.lock = RLock()
        """Held while a message goes out, and until it is answered when it must be."""

    def send(self, *message: Any) -> None:
        """Send a message whole."""
        with self.lock:
            self._socket.sendall(encode(*message))

    def receive(self, remind: Callable[[], None]) -> tuple[Any, ...] | None:
        """The next message, waited for; None when the driver is gone."""
        while (message := self._inbox.next()) is None:
            try:
                data = self._socket.recv(PIECE)
            except BlockingIOError:
                if not self._inbox:
                    remind()
                continue
            except ConnectionError:
                return None
            if not data:
                return None
            self._inbox.add(data)
        return message

    def close(self) -> None:
        """Forget the driver: a child that a step forked is none of its workers."""
        self._socket.close()
