"""Which stack is active: one query, so that a run on the default stack does without the catalog."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.builtin.sqlite.connection import Database

QUERY = "SELECT data FROM catalog WHERE project = ? AND kind = 'active' AND name = 'stack'"


def active_stack(database: Database, project: str) -> str:
    """Name of the stack that `core stack set` made active; empty when none was."""
    rows = database.read(QUERY, (project,))
    if not rows:
        return ""
    import json  # start-up time: most people never leave the default stack

    return str(json.loads(rows[0][0]).get("name", ""))
