"""Artifact store: immutable blobs named by the digest of their bytes; and few, small objects with names beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

from core.model.value import Value
from core.ports.component import Component

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from core.errors import CoreError


class Blob(Value):
    """A stored blob in a listing."""

    digest: str
    """`blake3:` and hex."""
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970, UTC, by the store's clock."""


class Named(Value):
    """An object that has a name, in a listing."""

    name: str
    """Such as `runs/0197f000/w/0-ab12.json`: see `check_name`."""
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970, UTC, when it was written, by the store's clock; some tell whole seconds only."""


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
    many: bool = False
    """Whether threads may read and publish many blobs at a time, and gain by it: each costs the way to a far server."""

    @property
    def shared(self) -> bool:
        """Whether others use it from other machines: then runs are recorded in it, too."""
        wanted = getattr(self.settings, "shared", None)
        return self.remote if wanted is None else bool(wanted)

    @property
    def trusted(self) -> bool:
        """Whether the user said that all who can write to it may run code here: then pickles of theirs are loaded."""
        return bool(getattr(self.settings, "trusted", False))

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

    def write(self, name: str, data: bytes, *, new: bool = False) -> bool:  # noqa: ARG002 - stores with names override
        """Publish `data` whole under `name`, in the place of what is there; gives True.

        With `new` what is there stays, and the answer is False. Of several that write a new object at the same moment
        one gets True: where the storage itself can't hold that, the class says so.
        """
        raise _no_names(self, name)

    def read(self, name: str) -> bytes:
        """The bytes under `name`; raises `NotFoundError`."""
        raise _no_names(self, name)

    def read_all(self, names: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
        """Each of `names` with its bytes, None where there is no such object; a remote store reads many at a time."""
        from core.errors import NotFoundError  # start-up time: local runs read none

        for name in names:
            try:
                yield name, self.read(name)
            except NotFoundError:
                yield name, None

    def names(self, folder: str) -> Iterator[Named]:
        """Every object whose name begins with `folder` and a slash; one request lists many."""
        raise _no_names(self, folder)

    def remove(self, name: str) -> None:
        """Remove the object called `name`; none there is fine."""
        raise _no_names(self, name)

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


def check_name(name: str) -> list[str]:
    """The parts of an object's name between its slashes; raises `UsageError` for what is none.

    Each has 1 to 200 of ASCII letters, digits and `-_.%@=`, and no dot first. The first has two characters at least:
    blobs lie in folders of one.
    """
    if not is_name(name):
        from core.errors import UsageError  # start-up time: nobody comes here

        raise UsageError(f"{name!r} can't be the name of an object", check_name.__doc__ or "")
    return name.split("/")


def is_name(name: str) -> bool:
    """Whether an object may be called so: see `check_name`."""
    parts = name.split("/")
    fine = all(part and len(part) <= NAME_LENGTH and part[0] != "." and _LETTERS.issuperset(part) for part in parts)
    return fine and len(parts[0]) > 1 and parts[0] != "tmp"


NAME_LENGTH = 200
"""Characters of one part of an object's name, at most."""
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.%@=")


def _no_names(store: ArtifactStore, name: str) -> CoreError:
    from core.errors import ConfigurationError  # start-up time: nobody comes here

    return ConfigurationError(
        f"artifact store {store.uri!r} (flavor {store.flavor!r}) keeps no objects with names, such as {name!r}",
        "its class lacks `write`, `read`, `names` and `remove`: runs can't be shared through it; use another store",
    )
