"""What the pool asks of the kernel beyond Python's own calls: families of processes, and what memory was lacking."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DIE_WITH_PARENT, NAME, ADOPT = 1, 15, 36
"""Options of `prctl`: a signal when the parent dies; the name in `top`; orphans below become our own children."""
_GROUPS = "/proc/self/cgroup"


def ask(option: int, value: int | bytes = 1) -> None:
    """`prctl(option, value)` where there is one. Elsewhere the end of a socket tells of a driver that died."""
    import ctypes  # start-up time: the driver itself does not need it

    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        return


def kill(pid: int) -> None:
    """SIGKILL to a process and to its group, if it leads one."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def children() -> list[int]:
    """Processes of which this one is the parent, adopted orphans included; empty where the kernel does not tell."""
    me = os.getpid()
    try:
        with open(f"/proc/self/task/{me}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return [pid for pid, parent in _processes() if parent == me]


def _processes() -> Iterator[tuple[int, int]]:
    """Process and parent, of every process: for kernels that are built without lists of children."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in names:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    yield int(name), int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue  # it has ended meanwhile


class Memory:
    """Tells whether the kernel killed a process of this control group (of this machine, without one) for memory."""

    def __init__(self) -> None:
        self._files = [(path, word) for path, word in _counters() if os.path.exists(path)][:1]
        self._seen = self._count()

    def ran_out(self) -> bool:
        """Whether it did so since the last look."""
        before, self._seen = self._seen, self._count()
        return self._seen > before

    def _count(self) -> int:
        for path, word in self._files:
            try:
                with open(path, "rb") as file:
                    lines = file.read().splitlines()
            except OSError:
                continue
            return sum(int(line.split()[1]) for line in lines if line.startswith(word + b" "))
        return 0


def _counters() -> Iterator[tuple[str, bytes]]:
    """Files that count such kills, the most exact first: version 2 of control groups, version 1, the whole machine."""
    try:
        with open(_GROUPS, encoding="utf-8", errors="surrogateescape") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        groups = []
    for _, controllers, path in groups:
        if "memory" in controllers.split(","):
            for folder in (path, ""):  # a container sees its own group as the root
                yield f"/sys/fs/cgroup/memory{folder.rstrip('/')}/memory.oom_control", b"oom_kill"
        elif not controllers:
            for folder in (path, ""):
                yield f"/sys/fs/cgroup{folder.rstrip('/')}/memory.events", b"oom_kill"
    yield "/proc/vmstat", b"oom_kill"


def signal_name(number: int) -> str:
    """`SIGSEGV` for 11."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
