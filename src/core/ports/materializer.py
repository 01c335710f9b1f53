"""Materializer: turns one family of Python values into bytes and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO


class Writer(Protocol):
    """Where a materializer puts a value's bytes; they are hashed while written."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append `data`; returns its length in bytes."""

    def child(self, value: Any) -> dict[str, Any]:
        """Store a nested value with its own materializer; put the returned plain data into your own bytes."""


class Reader(Protocol):
    """Where a materializer takes a value's bytes from; they were verified against the digest before."""

    @property
    def type(self) -> str:
        """`module:qualname` of the value's class, as it was when saved."""

    def read(self) -> bytes:
        """All bytes."""

    def open(self) -> BinaryIO:
        """A seekable file of the bytes."""

    def path(self) -> str | None:
        """A local file with the bytes for a memory map (never write to it), or None."""

    def child(self, data: dict[str, Any]) -> Any:
        """The nested value that `Writer.child` stored."""


class Materializer(ABC):
    """Saves and loads values of some types. Found by the value's class, its bases included, nearest first."""

    name: str
    """Unique and recorded with each artifact, such as `numpy`; a new byte format takes a new name."""
    types: tuple[str, ...] = ()
    """`module:qualname` of the classes that it takes; strings, so that no library is imported for them."""
    pickles: bool = False
    """Whether loading may run code that stands in the bytes: then loaded only when the digest was recorded."""

    def accepts(self, value: Any) -> bool:  # noqa: ARG002 - most take every value of their types
        """Whether this very value can be saved, where the class alone does not tell."""
        return True

    @abstractmethod
    def save(self, value: Any, out: Writer) -> None:
        """Write `value`'s bytes to `out`; equal values should give equal bytes."""

    @abstractmethod
    def load(self, source: Reader) -> Any:
        """The value whose bytes are in `source`."""

    def preview(self, value: Any) -> dict[str, Any]:  # noqa: ARG002 - optional
        """Small plain data for people, at most about 2 KB: shape, dtypes, head, thumbnail, text."""
        return {}


class Materializers(Protocol):
    """Chooses the materializer; built by the plugin registry and handed down the road."""

    def for_value(self, value: Any, name: str | None = None) -> Materializer:
        """The one for `value`, or the one called `name`; raises `OutputError` when none takes it."""

    def named(self, name: str) -> Materializer:
        """The one called `name`; raises `PluginError` when no installed plugin has it."""
