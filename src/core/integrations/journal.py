"""What an environment was before a change: kept in the home until the change is proved, and put back if it is not.

Files, not names of packages: what a tool leaves behind when it is killed in the middle belongs to no package.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager

from core.errors import ConflictError, InfrastructureError
from core.integrations.environment import packages, versions
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from core.integrations.environment import Environment

FOLDER = "integrations"
FILE = "journal.json"
REPAIR = "core integration repair"


class Pending(Value):
    """A change that was begun and not ended."""

    prefix: str
    """The environment."""
    command: str
    """What was to be done, as it was typed."""
    at_work: bool
    """Whether the process is still there."""
    repair: str
    """The command that puts back what was there before."""


class Journal:
    """The one change of one environment.

    `with journal.alone():` keeps others out; after our death, too, until the tool's processes have ended.
    """

    def __init__(self, home: str, environment: Environment) -> None:
        self._environment = environment
        self.folder = os.path.join(home, FOLDER, _name(environment.prefix))
        self.work = os.path.join(self.folder, "work")
        """Folder for the tool's files; emptied at the beginning and the end."""
        self._file = os.path.join(self.folder, FILE)
        self._kept = os.path.join(self.folder, "kept")

    @contextmanager
    def alone(self, *, repairing: bool = False) -> Iterator[int]:
        """Nobody else changes this environment meanwhile; gives the lock's file descriptor, for processes to keep."""
        try:
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            hint = "set CORE_HOME to a folder that you may write to"
            raise InfrastructureError(f"{self.folder!r} cannot be made: {error.strerror}", hint) from error
        lock = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _take(lock):
                raise ConflictError(
                    f"another command is changing the environment {self._environment.prefix!r}", "wait until it is done"
                )
            if self.pending() and not repairing:
                raise ConflictError(
                    f"`{self.pending()['command']}` was interrupted: packages may be half installed",
                    f"`{REPAIR}` puts back what was there before; then do it again",
                )
            shutil.rmtree(self.work, ignore_errors=True)
            os.makedirs(self.work)
            try:
                yield lock
            finally:
                shutil.rmtree(self.work, ignore_errors=True)
        finally:
            os.close(lock)

    def pending(self) -> dict[str, Any]:
        """What was noted and not closed; empty when there is nothing."""
        try:
            with open(self._file, encoding="utf-8") as file:
                found: dict[str, Any] = json.load(file)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InfrastructureError(f"{self._file!r} cannot be read: {error}", "delete it, and reinstall") from error
        return found

    def begin(self, command: str, removed: Iterable[str], unpacked: str) -> None:
        """Note what is there: files of the packages in `removed`, and those that `unpacked` would write over."""
        here = packages(self._environment.path)
        infos = [here[name].info for name in removed if name in here]
        fresh = sorted(self._targets(unpacked))
        saved = sorted({path for info in infos for path in _files_of(info)} | {p for p in fresh if os.path.lexists(p)})
        shutil.rmtree(self._kept, ignore_errors=True)
        os.makedirs(self._kept)
        kept = [path for path in saved if os.path.isfile(path) and not os.path.islink(path)]
        for number, path in enumerate(kept):
            shutil.copy2(path, os.path.join(self._kept, str(number)))
        note = {
            "prefix": self._environment.prefix,
            "command": command,
            "versions": versions(here),
            "fresh": [path for path in fresh if not os.path.lexists(path)],
            "folders": sorted(_missing_folders(fresh), reverse=True),
            "kept": kept,
        }
        temporary = f"{self._file}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(note, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._file)

    def close(self) -> None:
        """Forget what was noted: the change is proved, or undone."""
        os.unlink(self._file)
        shutil.rmtree(self._kept, ignore_errors=True)

    def restore(self) -> list[tuple[str, str, str]]:
        """Put back what was there; gives what still differs, as `(package, version before, version now)`."""
        note = self.pending()
        for path in note["fresh"]:
            _remove(path)
        for folder in note["folders"]:
            shutil.rmtree(os.path.join(folder, "__pycache__"), ignore_errors=True)
            if folder.endswith(".dist-info"):
                shutil.rmtree(folder, ignore_errors=True)
            elif os.path.isdir(folder) and not os.listdir(folder):
                os.rmdir(folder)
        for number, path in enumerate(note["kept"]):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy2(os.path.join(self._kept, str(number)), f"{path}.core-new")
            os.replace(f"{path}.core-new", path)
        after = versions(packages(self._environment.path))
        names = sorted({*note["versions"], *after})
        rows = [(name, note["versions"].get(name, ""), after.get(name, "")) for name in names]
        return [row for row in rows if row[1] != row[2]]

    def _targets(self, unpacked: str) -> Iterator[str]:
        """Paths that the unpacked packages may take: of scripts, of modules, of data beside them."""
        for folder, _, names in os.walk(unpacked):
            for name in names:
                inner = os.path.relpath(os.path.join(folder, name), unpacked)
                first, _, rest = inner.partition(os.sep)
                if first == "bin" and rest:
                    yield os.path.join(self._environment.scripts, rest)
                for root in (*self._environment.folders, self._environment.prefix):
                    yield os.path.join(root, inner)


def pending(home: str, prefix: str) -> list[Pending]:
    """Every change that was begun and not ended, in any environment that keeps its notes in this home."""
    found = []
    root = os.path.join(home, FOLDER)
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
        try:
            with open(os.path.join(root, name, FILE), encoding="utf-8") as file:
                note: Mapping[str, Any] = json.load(file)
        except (OSError, ValueError):
            continue
        there = note["prefix"] == prefix
        program = "" if there else os.path.join(note["prefix"], "bin", "")
        lock = os.open(os.path.join(root, name, "lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            busy = not _take(lock)
        finally:
            os.close(lock)
        found.append(Pending(note["prefix"], note["command"], busy, f"{program}{REPAIR}"))
    return found


def _name(prefix: str) -> str:
    from blake3 import blake3  # start-up time: only who changes an environment

    return blake3(os.path.realpath(prefix).encode()).hexdigest(16)


def _take(lock: int) -> bool:
    """Lock the open file, until every process that has it open is gone."""
    try:
        import fcntl  # absent on Windows, where nobody is kept out
    except ImportError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _files_of(info: str) -> Iterator[str]:
    """Paths of the files of an installed package, by its RECORD."""
    from importlib.metadata import Distribution  # start-up time: only who changes an environment

    for file in Distribution.at(info).files or ():
        yield os.path.normpath(str(file.locate()))


def _missing_folders(files: Iterable[str]) -> set[str]:
    """Folders of `files` that are not there yet."""
    found: set[str] = set()
    for file in files:
        folder = os.path.dirname(file)
        while folder not in found and not os.path.isdir(folder):
            found.add(folder)
            folder = os.path.dirname(folder)
    return found


def _remove(path: str) -> None:
    """The file, and the bytecode that Python or the tool made of it."""
    if os.path.lexists(path) and not os.path.isdir(path):
        os.unlink(path)
    folder, name = os.path.split(path)
    cache = os.path.join(folder, "__pycache__")
    if name.endswith(".py") and os.path.isdir(cache):
        for each in os.listdir(cache):
            if each.startswith(f"{name[:-3]}."):
                os.unlink(os.path.join(cache, each))
