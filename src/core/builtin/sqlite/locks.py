"""Locks with names, which the kernel frees when the process that holds them dies, however it dies.

Each name is one byte of a file that stays empty. On Linux they are locks of the open file (`F_OFD_SETLK`): two objects
of one process keep each other out, and other code that opens and closes the file changes nothing. Elsewhere (macOS)
they are locks of the process (`lockf`), which is weaker: code that opens and closes the file itself frees them all, and
asking who holds one keeps others from taking it for that moment. Where a file system has no locks, or Python no
`fcntl` (Windows), an object keeps only its own threads apart, and `backing()` is empty.
"""

from __future__ import annotations

import errno
import os
import sys
from _thread import allocate_lock

from blake3 import blake3

from core.builtin.sqlite.clock import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType

try:
    import fcntl
except ImportError:
    THERE = False
else:
    THERE = True

OPEN_FILE = THERE and hasattr(fcntl, "F_OFD_SETLK") and sys.maxsize > 2**32
"""Whether the kernel has locks of open files, in the 64-bit form that is packed here."""

_files: set[int] = set()
_opening = allocate_lock()  # no fork comes between the opening of a file and its entry above
_forks = [0]
_ours: set[tuple[int, int]] = set()  # inode and place: what this process holds where the kernel knows only processes


def _in_child() -> None:
    """Close what a fork inherits: else the child would keep the locks of a dead parent."""
    _opening.release()
    _forks[0] += 1
    _ours.clear()
    while _files:
        os.close(_files.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_in_child)


class Locks:
    """Locks in the file at `path`, which is made when first needed. Threads may share an object."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._reset()

    def _reset(self) -> None:
        self._guard = allocate_lock()
        self._kernel: _OpenFile | _Process | None = None
        self._opened = False
        self._taken: dict[str, str] = {}
        self._forks = _forks[0]

    def take(self, name: str, owner: str) -> bool:
        """Whether `owner` has the lock from now on, or had it already; False while somebody else has it."""
        with self._alone():
            kernel = self._open()
            holder = self._taken.get(name)
            if holder is None and (kernel is None or kernel.take(_place(name))):
                holder = self._taken[name] = owner
            return holder == owner

    def drop(self, name: str, owner: str) -> None:
        """Free the lock if `owner` has it."""
        with self._alone():
            kernel = self._open()
            if self._taken.get(name) == owner:
                del self._taken[name]
                if kernel is not None:
                    kernel.drop(_place(name))

    def held(self, name: str) -> bool:
        """Whether anybody has the lock."""
        with self._alone():
            kernel = self._open()
            return name in self._taken or (kernel is not None and kernel.held(_place(name)))

    def backing(self) -> str:
        """Names the kernel and the file: only who reads the same can tell who holds a lock. Empty without locks."""
        with self._alone():
            kernel = self._open()
            return kernel.identity if kernel else ""

    def close(self) -> None:
        """Free what is held through this object; it may be used again."""
        with self._alone():
            if self._kernel is not None:
                for name in self._taken:
                    self._kernel.drop(_place(name))
                _close(self._kernel.file)
            self._kernel, self._opened, self._taken = None, False, {}

    def _alone(self) -> LockType:
        if self._forks != _forks[0]:  # a thread of the parent may have been at work here
            self._reset()
        return self._guard

    def _open(self) -> _OpenFile | _Process | None:
        if not self._opened:
            self._opened = True
            self._kernel = _reach(self.path)
        return self._kernel


class _OpenFile:
    """Locks that belong to an open file; freed when its last descriptor is closed."""

    def __init__(self, file: int) -> None:
        self.file = file
        self.identity = _identity(file)

    def take(self, place: int) -> bool:
        try:
            fcntl.fcntl(self.file, fcntl.F_OFD_SETLK, _packed(fcntl.F_WRLCK, place))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def drop(self, place: int) -> None:
        fcntl.fcntl(self.file, fcntl.F_OFD_SETLK, _packed(fcntl.F_UNLCK, place))

    def held(self, place: int) -> bool:
        """Whether another open file has the lock."""
        found = fcntl.fcntl(self.file, fcntl.F_OFD_GETLK, _packed(fcntl.F_WRLCK, place))
        return int.from_bytes(found[:2], sys.byteorder) != fcntl.F_UNLCK


class _Process:
    """Locks that belong to the process; `_ours` keeps its own objects apart."""

    def __init__(self, file: int) -> None:
        self.file = file
        self.identity = _identity(file)
        self._inode = os.fstat(file).st_ino

    def take(self, place: int) -> bool:
        if (self._inode, place) in _ours or not self._try(fcntl.LOCK_EX, place):
            return False
        _ours.add((self._inode, place))
        return True

    def drop(self, place: int) -> None:
        _ours.discard((self._inode, place))
        fcntl.lockf(self.file, fcntl.LOCK_UN, 1, place)

    def held(self, place: int) -> bool:
        if (self._inode, place) in _ours or not self._try(fcntl.LOCK_SH, place):
            return True
        fcntl.lockf(self.file, fcntl.LOCK_UN, 1, place)
        return False

    def _try(self, how: int, place: int) -> bool:
        try:
            fcntl.lockf(self.file, how | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True


def _reach(path: str) -> _OpenFile | _Process | None:
    """Open the file; None where locks can't be had."""
    if not THERE:
        return None
    with _opening:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return None
        _files.add(file)
    for kind in (_OpenFile, _Process) if OPEN_FILE else (_Process,):
        try:
            kernel = kind(file)
            kernel.held(0)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a kernel that does not know locks of open files
                break
        else:
            return kernel
    _close(file)
    return None


def _close(file: int) -> None:
    _files.discard(file)
    os.close(file)


def _identity(file: int) -> str:
    return f"{boot_id() or os.uname().nodename}:{os.fstat(file).st_ino}"


def _place(name: str) -> int:
    """The byte that stands for a name, one of 2**62."""
    return int.from_bytes(blake3(name.encode("utf-8", "surrogatepass")).digest(8), "big") >> 2


def _packed(kind: int, place: int) -> bytes:
    """`struct flock` of 64-bit Linux: type, whence, start, length, pid; `struct` would be one more import."""
    order = sys.byteorder
    return kind.to_bytes(2, order) + bytes(6) + place.to_bytes(8, order) + (1).to_bytes(8, order) + bytes(8)
