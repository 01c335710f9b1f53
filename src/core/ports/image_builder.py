"""Image builder: makes the environment of steps as an image, and puts their code on top of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from core.model.nothing import NOTHING
from core.model.value import Value
from core.ports.component import Component

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO, Protocol

    from core.ports.container_registry import ContainerRegistry

    class Notes(Protocol):
        """What was found out on this machine; forgetting it harms nothing."""

        def known(self, kind: str, key: str, stamp: str) -> str:
            """What was kept under `key` with this stamp; empty when nothing was."""

        def keep(self, kind: str, key: str, stamp: str, value: str) -> None:
            """Note it."""


USER = "@USER@"
"""Stands in a recipe's Dockerfile for who its containers run as: the base's own user, else one that is not root."""
BASE = "@BASE@"
"""Stands in it for what it is built on."""


class Recipe(Value):
    """All that makes an environment image."""

    key: str
    """Digest of everything below but the secrets' values: the same key is the same environment."""
    dockerfile: str
    """Text of the Dockerfile, with `BASE` and `USER` in it."""
    base: str
    """Reference by digest; empty when `own` makes what it is built on."""
    platform: str
    """Such as `linux/amd64`."""
    files: Mapping[str, bytes] = NOTHING
    """Files beside the Dockerfile, by name."""
    own: str = ""
    """Text of a Dockerfile of the user's, which is built first."""
    context: str = ""
    """Folder that `own` may copy from; empty for none."""
    secrets: Mapping[str, str] = NOTHING
    """Name to value, in the clear: readable at `/run/secrets/NAME` during the build, and in no layer."""

    def __repr__(self) -> str:
        """Without secrets."""
        return f"Recipe({self.key!r}, base={self.base!r}, platform={self.platform!r})"


class Code(Value):
    """The code as a layer, and what the image that has it sets."""

    diff_id: str
    """Digest of the tar before compression."""
    digest: str
    """Digest of the compressed tar."""
    size: int
    """Bytes of the compressed tar."""
    file: BinaryIO
    """The compressed tar."""
    environment: Mapping[str, str] = NOTHING
    labels: Mapping[str, str] = NOTHING
    workdir: str = ""
    notes: Notes | None = None
    """What builders found out here before; None: nothing is kept."""


class ImageBuilder(Component, ABC):
    """Makes images and gives their references by digest. `registry` is the stack's, None where it has none.

    Methods raise `ConfigurationError` for what the user can mend, `InfrastructureError` for engines and registries.
    """

    type: ClassVar[str] = "image_builder"
    base_image: str = ""
    """What it builds on where nobody says, with `{version}` for Python's; empty: a slim Python of Docker Hub."""

    def settle(self, engine: str) -> str:  # noqa: ARG002 - optional
        """Work on the Docker engine at `engine` unless another was set; gives where images stay without a registry.

        Empty: nowhere.
        """
        return ""

    def base(self, name: str, registry: ContainerRegistry | None) -> str:  # noqa: ARG002 - optional
        """What `name` is where this builder has it at hand, by digest; empty: its own registry is asked."""
        return ""

    @abstractmethod
    def find(self, tag: str, registry: ContainerRegistry | None) -> str:
        """Reference by digest of the image that has `tag`; empty when there is none."""

    def has(self, reference: str, registry: ContainerRegistry | None) -> bool:  # noqa: ARG002 - optional
        """Whether an image that it gave, by digest, is still there; True where it can't tell."""
        return True

    @abstractmethod
    def environment(
        self, recipe: Recipe, tag: str, registry: ContainerRegistry | None, say: Callable[[str], None]
    ) -> str:
        """Build the environment and keep it under `tag`; `say` gets each line that the build prints."""

    @abstractmethod
    def code(self, environment: str, code: Code, tag: str, registry: ContainerRegistry | None) -> str:
        """Put the code on top of `environment` (a reference by digest) and keep that under `tag`."""
