"""One folder for the engines of a session, whichever xdist worker wants them first."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FOLDER = "CORE_TEST_ENGINES_FOLDER"
"""Environment variable that tells xdist's workers the folder of their session."""
KEEPER = Path(__file__).with_name("keeper.py")


class Absent(Exception):
    """An engine can't be started on this machine; says why."""


class Place:
    """A folder for one engine, and what starts programs that end with the session."""

    def __init__(self, folder: Path, owner: int) -> None:
        self.folder = folder
        """Empty at first; short, because paths of sockets must be."""
        self._owner = owner

    def keep(self, command: Sequence[object], name: str, after: Sequence[Sequence[str]] = ()) -> Path:
        """Start `command`, which ends with the session; then `after` cleans up. Gives its log's path."""
        log = self.folder / f"{name}.log"
        order = {"owner": self._owner, "command": [str(word) for word in command], "after": after, "log": str(log)}
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(KEEPER), json.dumps(order)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        (self.folder / f"{name}.keeper").write_text(str(keeper.pid))
        keeper.returncode = 0  # it is nobody's to wait for: `Engines.close` ends it, from any process
        return log

    def wait(self, ready: Callable[[], bool], log: Path, seconds: float = 30) -> None:
        """Wait until `ready()`; raises `Absent` with the end of `log` when it does not come to that."""
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end or not alive(int(log.with_suffix(".keeper").read_text())):
                tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise Absent(f"{log.stem} does not start\n{tail}")
            time.sleep(0.05)


class Engines:
    """Starts each engine once a session."""

    def __init__(self, folder: Path, owner: int) -> None:
        self.folder, self._owner = folder, owner

    @classmethod
    def of_session(cls, *, worker: bool) -> Self:
        """Those of this pytest, or where it is an xdist worker those of its controller."""
        told = os.environ.get(FOLDER, "") if worker else ""
        folder = Path(told or Path(tempfile.gettempdir()) / f"core-engines-{os.getpid()}")
        if not told:
            os.environ[FOLDER] = str(folder)
        return cls(folder, int(folder.name.rpartition("-")[2]))

    def once(self, name: str, make: Callable[[Place], dict[str, Any]]) -> dict[str, Any]:
        """What `make(place)` returned (plain data), called by the first that asks; raises `Absent` as it did."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        told = self.folder / f"{name}.json"
        with _locked(self.folder / f"{name}.lock"):
            if not told.exists():
                folder = self.folder / name
                folder.mkdir()
                try:
                    data = make(Place(folder, self._owner))
                except Absent as absent:
                    data = {"absent": str(absent)}
                told.write_text(json.dumps(data))
        data = json.loads(told.read_text())
        if "absent" in data:
            raise Absent(data["absent"])
        return dict(data)

    def close(self) -> None:
        """End all of them and remove the folder; only the session's own pytest does."""
        if self._owner != os.getpid() or not self.folder.exists():
            return
        keepers = [int(file.read_text()) for file in self.folder.glob("*/*.keeper")]
        for pid in keepers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 20
        while any(map(alive, keepers)) and time.monotonic() < end:
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)


def alive(pid: int) -> bool:
    """Whether the process runs; one of our own children that ended is taken off the kernel's hands."""
    with suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str) -> str:
    """Path of an installed program, also of one that only the administrator's PATH has; raises `Absent`."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        raise Absent(f"the program {name!r} is not installed")
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl  # not on Windows, where there is no engine either

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
