"""Chooses the components of a stack and builds them; knows no phase of a run."""

from __future__ import annotations

import os

from core.builtin.orchestrators.local import LocalOrchestrator
from core.builtin.stores.local import LocalArtifactStore
from core.errors import NotFoundError
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.ports.artifact_store import ArtifactStore
    from core.ports.orchestrator import Orchestrator
    from core.settings import Settings

DEFAULT = "default"


class Stack(Value):
    """A named set of components, built."""

    name: str
    orchestrator: Orchestrator
    artifact_store: ArtifactStore


def open_stack(settings: Settings) -> Stack:
    """The active stack. The default one is built directly, without the catalog and without settings models.

    Raises `NotFoundError` for a stack that does not exist.
    """
    name = settings.stack or DEFAULT
    if name != DEFAULT:
        raise NotFoundError(f"there is no stack {name!r}", "the only stack is 'default'; see `core stack list`")
    store = LocalArtifactStore(os.path.join(settings.home, "artifacts"), durability=settings.durability)
    return Stack(name, LocalOrchestrator(), store)
