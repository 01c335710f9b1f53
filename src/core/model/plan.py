"""A graph bound to a stack and to history: what each step will do, and why."""

from __future__ import annotations

from enum import StrEnum

from core.model.nothing import NOTHING
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.model.artifact import ArtifactRef
    from core.model.graph import Graph


class Action(StrEnum):
    """What a step will do."""

    RUN = "run"
    """Its function will be called."""
    REUSE = "reuse"
    """An earlier result stands in."""
    MAYBE = "maybe"
    """Depends on whether what comes before it gives the same outputs again."""


class CachedResult(Value):
    """A completed attempt whose outputs may be reused."""

    run: str
    step: str
    attempt: int
    at: float
    """Seconds since 1970, UTC, when it completed."""
    outputs: Mapping[str, ArtifactRef]
    origin: str = ""
    """URI of the journal that it was folded from; empty when it was recorded here."""


class Decision(Value):
    """What one step will do, and why."""

    action: Action
    reason: str
    """For people: `code of load changed (load.py:12)`, `never ran`, ..."""
    key: str = ""
    """Cache key; empty while inputs are unknown."""
    fingerprint: Mapping[str, Any] = NOTHING
    """The parts of the key by name, as plain data: what reasons are told from."""
    cached: CachedResult | None = None
    """The result to reuse, for `REUSE`."""


class Plan(Value):
    """A graph with a decision for each node."""

    graph: Graph
    decisions: Mapping[str, Decision]
    """By node id."""
    stack: str
    """Name of the stack."""
