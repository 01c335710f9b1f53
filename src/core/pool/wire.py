"""Messages between the driver and a worker: pickled plain values with their length before them, on a socket."""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

_HEAD = struct.Struct("!I")
_PIECE = 1 << 16


def send(to: socket.socket, *message: Any) -> None:
    """Send a message whole."""
    buffer = io.BytesIO()
    buffer.write(b"\0" * _HEAD.size)
    _Pickler(buffer, 5).dump(message)
    data = buffer.getbuffer()
    _HEAD.pack_into(data, 0, len(data) - _HEAD.size)
    to.sendall(data)


class _Pickler(pickle.Pickler):
    """Takes the frozen empty mapping of values, too."""

    dispatch_table = copyreg.dispatch_table.copy()
    dispatch_table[MappingProxyType] = lambda mapping: (dict, (dict(mapping),))


class Inbox:
    """Puts messages together from what arrives."""

    def __init__(self, source: socket.socket) -> None:
        self.source = source
        self.ended = False
        """Whether the other side is gone."""
        self._data = bytearray()

    def wait(self) -> tuple[Any, ...] | None:
        """The next message, waited for; None when the other side is gone."""
        while True:
            message = self._next()
            if message is not None or self.ended:
                return message
            self._read(0)

    def poll(self) -> list[tuple[Any, ...]]:
        """The messages that are there, without waiting."""
        import socket as sockets  # only the driver polls

        try:
            while not self.ended:
                self._read(sockets.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            pass
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _read(self, flags: int) -> None:
        try:
            data = self.source.recv(_PIECE, flags)
        except ConnectionError:
            data = b""
        if not data:
            self.ended = True
        self._data += data

    def _next(self) -> tuple[Any, ...] | None:
        if len(self._data) < _HEAD.size:
            return None
        (length,) = _HEAD.unpack_from(self._data)
        end = _HEAD.size + length
        if len(self._data) < end:
            return None
        message: tuple[Any, ...] = pickle.loads(memoryview(self._data)[_HEAD.size : end])  # noqa: S301 - our own child
        del self._data[:end]
        return message
