"""The `docker` image builder: environment and code by a Docker engine; works without a registry, for that engine."""

from __future__ import annotations

from core.builtin.image_builders.engine import Engine, connect
from core.builtin.image_builders.registry import RegistryImageBuilder
from core.errors import InfrastructureError
from core.image.base import login_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar

    from core.ports.container_registry import ContainerRegistry
    from core.ports.image_builder import Code, Recipe


class DockerImageBuilder(RegistryImageBuilder):
    """Where the stack has no registry, images stay on the engine and go by their ids."""

    flavor: ClassVar[str] = "docker"

    def __init__(self, settings: Any = None, *, host: str = "") -> None:
        super().__init__(settings, host=host)
        self._engine: Engine | None = None

    def settle(self, engine: str) -> str:
        super().settle(engine)
        return self.host

    def base(self, name: str, registry: ContainerRegistry | None) -> str:
        return self.engine.find(name) if registry is None else ""

    def find(self, tag: str, registry: ContainerRegistry | None) -> str:
        if registry is None:
            return self.engine.find(f"{self.repository}:{tag}")
        return super().find(tag, registry)

    def has(self, reference: str, registry: ContainerRegistry | None) -> bool:
        return bool(self.engine.find(reference)) if registry is None else super().has(reference, registry)

    def environment(
        self, recipe: Recipe, tag: str, registry: ContainerRegistry | None, say: Callable[[str], None]
    ) -> str:
        return self._kept(self.engine.build(recipe, login_for(recipe.base, registry), say), tag, registry)

    def code(self, environment: str, code: Code, tag: str, registry: ContainerRegistry | None) -> str:
        login = registry.login() if registry is not None else None
        return self._kept(self.engine.add(environment, code, login), tag, registry)

    def close(self) -> None:
        super().close()
        if self._engine is not None:
            self._engine.close()

    @property
    def engine(self) -> Engine:
        """The engine; raises `InfrastructureError` when there is none."""
        if self._engine is None:
            self._engine = connect(self.host)
        if self._engine is None:
            raise InfrastructureError(
                "image builder 'docker' finds no Docker engine",
                "start Docker, or name one (DOCKER_HOST, or its `host`)",
            )
        return self._engine

    def _kept(self, image: str, tag: str, registry: ContainerRegistry | None) -> str:
        if registry is None:
            self.engine.tag(image, self.repository, tag)
            return image
        registry.ensure(self.repository)
        return self.engine.push(image, registry.repository(self.repository), tag, registry.login())
