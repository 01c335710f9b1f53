"""What made the environment of a project the last time, to say what changed; forgetting it harms nothing."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST = 200
"""Projects that are remembered."""


def changes(home: str, root: str, parts: Mapping[str, str]) -> list[str]:
    """Names of the parts that differ from the last time; none when there was none. Remembers `parts`."""
    path = os.path.join(home, "images.json")
    try:
        with open(path, encoding="utf-8") as file:
            known = dict(json.load(file))
    except (OSError, ValueError, TypeError):
        known = {}
    before = known.pop(root, None)
    known[root] = dict(parts)
    try:
        os.makedirs(home, exist_ok=True)
        with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
            json.dump(dict(list(known.items())[-_MOST:]), file)
        os.replace(f"{path}.{os.getpid()}", path)
    except OSError:
        pass  # the next time it says "never built before"
    if not isinstance(before, dict):
        return []
    return [name for name, value in parts.items() if before.get(name) != value]
