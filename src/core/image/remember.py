"""What was found out the last time, to say what changed and to read nothing twice; forgetting it harms nothing."""

from __future__ import annotations

import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

_MOST = 200
"""Entries of a kind that are kept."""
_FEW = {"images": 4}
"""The same of kinds whose values are large."""
SETTLED = 100_000_000
"""Nanoseconds after which a file that did not change would have another time if it was written again."""


class Memory:
    """Notes by kind and key, in one file of the home."""

    def __init__(self, home: str) -> None:
        self._path = os.path.join(home, "images.json")
        self._changed = False
        try:
            with open(self._path, encoding="utf-8") as file:
                self._known: dict[str, Any] = dict(json.load(file))
        except (OSError, ValueError, TypeError):
            self._known = {}

    def changes(self, environment: str, parts: Mapping[str, str]) -> list[str]:
        """Names of the `parts` of an environment that differ from what was noted; none when nothing was."""
        before = self._get("environments", environment)
        if not isinstance(before, dict):
            return []
        return [name for name, value in parts.items() if before.get(name) != value]

    def note(self, environment: str, parts: Mapping[str, str]) -> None:
        """Note what an environment that is there is made of."""
        self._put("environments", environment, dict(parts))

    def known(self, kind: str, key: str, stamp: str) -> str:
        """What `keep` was told of `key` when its stamp was the same; empty when it was another."""
        found = self._get(kind, key)
        return str(found[1]) if isinstance(found, list) and len(found) == 2 and found[0] == stamp else ""

    def keep(self, kind: str, key: str, stamp: str, value: str) -> None:
        """Note it."""
        self._put(kind, key, [stamp, value])

    def save(self) -> None:
        """Write what is new; where that can't be, it is found out again the next time."""
        if not self._changed:
            return
        mine = f"{self._path}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with open(mine, "w", encoding="utf-8") as file:
                json.dump(self._known, file)
            os.replace(mine, self._path)
        except OSError:
            return

    def _get(self, kind: str, key: str) -> Any:
        notes = self._known.get(kind)
        return notes.get(key) if isinstance(notes, dict) else None

    def _put(self, kind: str, key: str, value: Any) -> None:
        if self._get(kind, key) == value:
            return
        notes = self._known.get(kind)
        notes = dict(notes) if isinstance(notes, dict) else {}
        notes.pop(key, None)
        self._known[kind] = dict([*notes.items(), (key, value)][-_FEW.get(kind, _MOST) :])
        self._changed = True


def settled(times: Iterable[int], clock: Callable[[], int] = time.time_ns) -> bool:
    """Whether the last of these times (nanoseconds since 1970) is long enough ago to tell a later change."""
    return max(times, default=0) < clock() - SETTLED
