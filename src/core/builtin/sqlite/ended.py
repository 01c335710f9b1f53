"""Tells whether work under a cache key has ended anywhere since somebody last looked: two bytes a key in a small file.

A claim that one process gives up another may take at once; that one must then see the result. Looking into the database
before each step would make it read what all others append, so this file says when a look is due.
"""

from __future__ import annotations

import os
import time
from zlib import crc32

SLOTS = 1 << 16
"""Places for keys; two that share one cost a look too many."""


class Ended:
    """The file at `path`, which is made when first needed. Without it (a folder that can't be written) all is due."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None
        self._seen = b""

    def note(self, key: str) -> None:
        """Work under `key` ended, and its end is recorded."""
        file = self._open()
        if file >= 0:
            try:
                os.pwrite(file, (time.monotonic_ns() >> 8 & 0xFFFF).to_bytes(2, "big"), 2 * _slot(key))
            except OSError:
                return  # a full disk: others see the result a second later

    def look(self) -> None:
        """What is read from the database from now on holds all that has ended so far."""
        file = self._open()
        self._seen = os.pread(file, 2 * SLOTS, 0) if file >= 0 else b""

    def since(self, key: str) -> bool:
        """Whether work under `key` may have ended since the last `look`."""
        file, place = self._open(), 2 * _slot(key)
        return file < 0 or os.pread(file, 2, place) != self._seen[place : place + 2]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None and self._file >= 0:
            os.close(self._file)
        self._file = None

    def _open(self) -> int:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            except OSError:
                self._file = -1
        return self._file


def _slot(key: str) -> int:
    return crc32(key.encode()) % SLOTS
