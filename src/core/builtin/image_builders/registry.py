"""The `registry` image builder: code is put on top of its environment in the registry itself, with no engine."""

from __future__ import annotations

from core.errors import ConfigurationError
from core.image.base import login_for
from core.oci.image import Changes, Image, Layer, publish, read_image
from core.oci.reference import parse_reference
from core.oci.repository import Repository
from core.ports.image_builder import ImageBuilder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar

    from core.ports.container_registry import ContainerRegistry
    from core.ports.image_builder import Code, Recipe


_FORM = "1"
"""Of notes about images: others are not read."""


class RegistryImageBuilder(ImageBuilder):
    """Needs a Docker engine only for an environment that the registry does not have yet."""

    flavor: ClassVar[str] = "registry"
    Settings: ClassVar[Any] = "core.builtin.image_builders.settings:BuilderSettings"

    def __init__(self, settings: Any = None, *, host: str = "") -> None:
        super().__init__(settings)
        self.repository = settings.repository if settings is not None else "core"
        self.base_image = settings.base_image if settings is not None else ""
        self.host = settings.host if settings is not None else host
        self._open: dict[str, Repository] = {}

    def settle(self, engine: str) -> str:
        self.host = self.host or engine
        return ""

    def find(self, tag: str, registry: ContainerRegistry | None) -> str:
        repository = self._repository(_given(registry))
        digest = repository.head(tag)
        return str(repository.reference.at(digest)) if digest else ""

    def has(self, reference: str, registry: ContainerRegistry | None) -> bool:
        repository, version = self._repository(_given(registry)), parse_reference(reference).version
        elsewhere = str(repository.reference.at(version)) != reference
        return elsewhere or bool(repository.head(version))

    def environment(
        self, recipe: Recipe, tag: str, registry: ContainerRegistry | None, say: Callable[[str], None]
    ) -> str:
        registry = _given(registry)
        where = self._repository(registry)
        from core.builtin.image_builders.engine import connect  # start-up time: the SDK is for what must be built

        engine = connect(self.host)
        if engine is None:
            raise ConfigurationError(
                f"environment {tag!r} is not in {where.reference} yet, and no Docker engine is in reach to build it",
                "start Docker, or name one (DOCKER_HOST, or the image builder's `host`); or let somebody who has one "
                "run `core pipeline build FILE:PIPELINE` once; or give a ready image: "
                "ImageSettings(base_image=..., skip_build=True)",
            )
        try:
            registry.ensure(self.repository)
            image = engine.build(recipe, login_for(recipe.base, registry), say)
            return engine.push(image, str(where.reference), tag, registry.login())
        finally:
            engine.close()

    def code(self, environment: str, code: Code, tag: str, registry: ContainerRegistry | None) -> str:
        registry = _given(registry)
        repository, reference = self._repository(registry), parse_reference(environment)
        registry.ensure(self.repository)
        layer = Layer(code.diff_id, code.digest, code.size)
        changes = Changes(code.environment, code.labels, code.workdir, "core: code")

        def read() -> Image:
            if code.notes is None:
                return read_image(repository, reference.version, "")
            known = code.notes.known("images", reference.version, _FORM)
            if known:
                return Image.of(known)
            image = read_image(repository, reference.version, "")
            code.notes.keep("images", reference.version, _FORM, image.to_text())
            return image

        made = publish(repository, read, None, layer, code.file, changes, tag)
        return str(repository.reference.at(made.digest))

    def close(self) -> None:
        for repository in self._open.values():
            repository.http.close()
        self._open.clear()

    def _repository(self, registry: ContainerRegistry) -> Repository:
        """The repository of images, one connection for all calls."""
        if registry.uri not in self._open:
            reference = parse_reference(registry.repository(self.repository))
            self._open[registry.uri] = Repository(reference, registry.login, insecure=registry.insecure, push=True)
        return self._open[registry.uri]


def _given(registry: ContainerRegistry | None) -> ContainerRegistry:
    """The stack's registry; raises `ConfigurationError` when it has none."""
    if registry is None:
        raise ConfigurationError(
            "the stack has no container registry, and image builder 'registry' keeps images nowhere else",
            "`core container-registry register NAME -f default --uri=HOST`, then `core stack update STACK -c NAME`",
        )
    return registry
