"""Finds installed plugins by their entry points; remembers them by folder, so that a run need not look."""

from __future__ import annotations

import json
import os
import sys
import time

from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

GROUP = "core.plugins"
FILE = "plugins.json"
VERSION = 1
MAX_FOLDERS = 200
"""Folders that the file remembers; scripts in many places share one."""

TICK = 100_000_000
"""Nanoseconds; a folder changed that recently may change again without a new time stamp, so it is not remembered."""


class Found(Value):
    """An entry point of an installed distribution."""

    name: str
    """Name of the entry point."""
    target: str
    """`module` or `module:object`."""
    distribution: str
    version: str


def installed(home: str = "", path: Sequence[str] | None = None) -> list[Found]:
    """Entry points in the folders of `path` (by default `sys.path`); of two with one distribution the first counts.

    Reads a folder again only when it changed. `home` is where `plugins.json` lies; empty keeps nothing. Folders only:
    plugins inside zip files are not seen.
    """
    file = os.path.join(home, FILE) if home else ""
    known = _read(file)
    folders: dict[str, tuple[int, list[Found]]] = {}
    changed = False
    for entry in sys.path if path is None else path:
        folder = os.path.abspath(entry)
        if folder in folders:
            continue
        try:
            stamp = os.stat(folder).st_mtime_ns
        except OSError:
            continue
        remembered = known.get(folder)
        if remembered is None or remembered[0] != stamp:
            remembered = (stamp, list(_scan(folder)))
            changed = True
        folders[folder] = remembered
    if changed and file:
        old_enough = time.time_ns() - TICK
        _write(file, {**known, **{name: kept for name, kept in folders.items() if kept[0] < old_enough}})
    return list(_once(found for _, each in folders.values() for found in each))


def _once(all_found: Iterable[Found]) -> Iterator[Found]:
    """Of one distribution in several folders the first counts, as for imports."""
    seen = set()
    for found in all_found:
        key = (canonical(found.distribution), found.name)
        if key not in seen:
            seen.add(key)
            yield found


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return "-".join(filter(None, name.lower().replace("_", "-").replace(".", "-").split("-")))


def _scan(folder: str) -> Iterator[Found]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if not name.endswith((".dist-info", ".egg-info")):
            continue
        try:
            with open(os.path.join(folder, name, "entry_points.txt"), "rb") as file:
                if GROUP.encode() not in file.read():
                    continue
        except OSError:
            continue
        yield from _entries(os.path.join(folder, name))


def _entries(folder: str) -> Iterator[Found]:
    from importlib.metadata import Distribution  # start-up time: only the first look at an installed plugin needs it

    distribution = Distribution.at(folder)
    for entry in distribution.entry_points:
        if entry.group == GROUP:
            metadata = distribution.metadata
            yield Found(entry.name, entry.value, metadata["Name"] or "", metadata["Version"] or "")


def _read(file: str) -> dict[str, tuple[int, list[Found]]]:
    """What was remembered; a file that is missing, damaged or of another version holds nothing."""
    try:
        with open(file, encoding="utf-8") as handle:
            data: Any = json.load(handle)
        if data["version"] != VERSION:
            return {}
        return {folder: (stamp, [Found(*item) for item in items]) for folder, (stamp, items) in data["folders"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _write(file: str, folders: dict[str, tuple[int, list[Found]]]) -> None:
    """Best effort: without the file only time is lost."""
    newest = dict(list(folders.items())[-MAX_FOLDERS:])
    temporary = f"{file}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as handle:
            json.dump({"version": VERSION, "folders": newest}, handle)
        os.replace(temporary, file)
    except OSError:
        return
