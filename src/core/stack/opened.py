"""An opened stack: its components, each built when it is first asked for."""

from __future__ import annotations

import os
from functools import cached_property

from core.builtin.orchestrators.local import LocalOrchestrator
from core.builtin.stores.local import LocalArtifactStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from core.ports.artifact_store import ArtifactStore
    from core.ports.component import Component
    from core.ports.container_registry import ContainerRegistry
    from core.ports.orchestrator import Orchestrator
    from core.settings import Settings
    from core.stack.build import Means

DEFAULT = "default"
"""Name of the stack, and of its components, that are there without a catalog."""


class Stack:
    """A named set of components. Each is given built, or as a function that builds it when it is first needed."""

    def __init__(
        self,
        name: str,
        orchestrator: Orchestrator | Callable[[], Component],
        artifact_store: ArtifactStore | Callable[[], Component],
        container_registry: ContainerRegistry | Callable[[], Component] | None = None,
        image_builder: Component | Callable[[], Component] | None = None,
        origin: str = "built in",
    ) -> None:
        self.name = name
        self.origin = origin
        """`catalog`, `built in`, or the `file:line` where it is declared."""
        self._given: dict[str, Any] = {
            "orchestrator": orchestrator,
            "artifact_store": artifact_store,
            "container_registry": container_registry,
            "image_builder": image_builder,
        }

    @cached_property
    def orchestrator(self) -> Orchestrator:
        """Runs the steps."""
        return self._built("orchestrator")  # type: ignore[no-any-return]

    @cached_property
    def artifact_store(self) -> ArtifactStore:
        """Keeps what they return."""
        return self._built("artifact_store")  # type: ignore[no-any-return]

    @cached_property
    def container_registry(self) -> ContainerRegistry | None:
        """Keeps images; None where the stack has none."""
        return self._built("container_registry")  # type: ignore[no-any-return]

    @cached_property
    def image_builder(self) -> Any:
        """Makes images; None where the stack has none."""
        return self._built("image_builder")

    def components(self) -> Iterator[Component]:
        """Every component that it has, built."""
        for component in (self.orchestrator, self.artifact_store, self.container_registry, self.image_builder):
            if component is not None:
                yield component

    def checked(self) -> Stack:
        """Itself, when it can run something: its parts fit and let us in. Raises `CoreError` that says what is missing.

        The default stack always can.
        """
        if self.name != DEFAULT:
            from core.stack.check import check_opened  # start-up time: the default stack needs none of it

            check_opened(self)
        return self

    def _built(self, kind: str) -> Any:
        given = self._given[kind]
        return given() if callable(given) else given


def open_stack(means: Means) -> Stack:
    """The active stack. The default one is built directly, without the catalog and without settings models.

    Raises `NotFoundError` for a stack that does not exist; what is wrong with a component is raised when it is built.
    """
    name = means.active
    if name != DEFAULT:
        from core.stack.build import assemble  # start-up time: the default stack needs none of it

        return assemble(means, name)
    return Stack(name, LocalOrchestrator(), default_store(means.settings))


def default_store(settings: Settings) -> LocalArtifactStore:
    """The store of the default stack: a folder of the home."""
    return LocalArtifactStore(os.path.join(settings.home, "artifacts"), durability=settings.durability)
