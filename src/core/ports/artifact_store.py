"""Artifact store: immutable blobs named by the digest of their bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

from core.model.value import Value
from core.ports.component import Component

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


class Blob(Value):
    """A stored blob in a listing."""

    digest: str
    """`blake3:` and hex."""
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970, UTC, by the store's clock."""


class Upload(Protocol):
    """Bytes on their way into a store: invisible until `commit`."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append `data`; returns its length in bytes."""

    def commit(self, digest: str) -> None:
        """Make the bytes durable and publish them atomically under `digest`.

        A blob already there may stay, or better be replaced: that mends one that was spoilt, and its readers go on.
        """

    def abort(self) -> None:
        """Drop the bytes; does nothing after `commit`."""


class ArtifactStore(Component, ABC):
    """Keeps blobs by digest. Writers hash (`core.artifacts`); the store publishes atomically and reads back.

    Every method raises `StoreError` when the storage can't be reached or written, naming the store's `uri`.
    """

    type: ClassVar[str] = "artifact_store"
    uri: str
    """Where the blobs lie; equal URIs mean the same store."""

    @abstractmethod
    def begin(self) -> Upload:
        """Start an upload."""

    @abstractmethod
    def open(self, digest: str) -> BinaryIO:
        """The blob's bytes, not verified yet; raises `NotFoundError` when there is none."""

    @abstractmethod
    def delete(self, digest: str) -> None:
        """Remove the blob; none there is fine."""

    @abstractmethod
    def list(self) -> Iterator[Blob]:
        """Every published blob, in no special order."""

    def tidy(self, before: float, *, dry_run: bool = False) -> int:  # noqa: ARG002 - stores with such files override
        """Remove what uploads that began before `before` (seconds since 1970) left half-written; gives how many."""
        return 0

    def path(self, digest: str) -> str | None:  # noqa: ARG002 - stores with local files override
        """Local file with the blob's bytes, for memory maps; None when the store has no local files."""
        return None

    def exists(self, digest: str) -> bool:
        """Whether the blob is published."""
        from core.errors import NotFoundError  # start-up time: only a store without a better way comes here

        try:
            self.open(digest).close()
        except NotFoundError:
            return False
        return True
