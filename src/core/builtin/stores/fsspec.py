"""The `fsspec` artifact store: blobs in any place that fsspec has a file system for."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from tempfile import mkstemp

import fsspec
from fsspec.implementations.local import LocalFileSystem

from core.builtin.stores.trouble import LENGTH, hex_of, store_error
from core.errors import NotFoundError
from core.ports.artifact_store import ArtifactStore, Blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO, ClassVar

TEMPORARY = "tmp"
ATOMIC = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "r2"}
"""Protocols whose objects appear whole, when their upload ends: they need no temporary key and no move."""


class FsspecArtifactStore(ArtifactStore):
    """Keeps the blob `abcd...` as `URL/a/bcd...`.

    Bytes wait on this machine until their digest is known, and then go up once. Does not try again by itself.
    """

    flavor: ClassVar[str] = "fsspec"
    Settings: ClassVar[Any] = "core.builtin.stores.settings:FsspecSettings"

    def __init__(self, settings: Any, **storage_options: Any) -> None:
        """`settings` is the URL, or the settings model; `storage_options` go to fsspec."""
        super().__init__(None if isinstance(settings, str) else settings)
        url = settings if isinstance(settings, str) else settings.path
        options = storage_options if self.settings is None else settings.storage_options
        self.uri = url.rstrip("/")
        try:
            self.fs, root = fsspec.core.url_to_fs(url, **options)
        except Exception as error:  # border of a library: each file system raises its own
            raise store_error(self.uri, "open", error) from error
        self.root = root.rstrip("/")
        protocols = {self.fs.protocol} if isinstance(self.fs.protocol, str) else set(self.fs.protocol)
        self.atomic = bool(protocols & ATOMIC)

    def key(self, digest: str) -> str:
        """Path of the blob in the file system."""
        digits = hex_of(digest, self.uri)
        return f"{self.root}/{digits[:1]}/{digits[1:]}"

    def begin(self) -> _FsspecUpload:
        """Start an upload into a spool of this machine."""
        return _FsspecUpload(self)

    def open(self, digest: str) -> BinaryIO:
        """The blob's file."""
        key = self.key(digest)
        try:
            return self.fs.open(key, "rb")  # type: ignore[no-any-return]
        except FileNotFoundError:
            raise NotFoundError(f"artifact {digest} is not in {self.uri}") from None
        except Exception as error:  # border of a library
            raise store_error(self.uri, "read from", error) from error

    def path(self, digest: str) -> str | None:
        """The blob's file where the file system is this machine's own."""
        return self.key(digest) if isinstance(self.fs, LocalFileSystem) else None

    def exists(self, digest: str) -> bool:
        """Whether the blob is published."""
        key = self.key(digest)
        try:
            self.fs.invalidate_cache()
            return bool(self.fs.exists(key))
        except Exception as error:  # border of a library
            raise store_error(self.uri, "read from", error) from error

    def delete(self, digest: str) -> None:
        """Remove the blob's file."""
        key = self.key(digest)
        try:
            self.fs.rm_file(key)
        except FileNotFoundError:
            return
        except Exception as error:  # border of a library
            if not self.exists(digest):
                return  # each file system has its own word for "not there"
            raise store_error(self.uri, "delete from", error) from error

    def list(self) -> Iterator[Blob]:
        """Every blob; unfinished uploads and strange files are passed over."""
        try:
            self.fs.invalidate_cache()
            found = self.fs.find(self.root, detail=True)
        except FileNotFoundError:
            return
        except Exception as error:  # border of a library
            raise store_error(self.uri, "list", error) from error
        for name, info in found.items():
            digits = "".join(name.rsplit("/", 2)[-2:])
            if len(digits) == LENGTH:
                yield Blob(f"blake3:{digits}", int(info["size"]), _modified(info))

    def publish(self, file: str, digest: str) -> None:
        """Send a local file to the blob's key; readers see all of it or nothing."""
        key = self.key(digest)
        part = key if self.atomic else f"{self.root}/{TEMPORARY}/{os.urandom(8).hex()}"
        try:
            self.fs.makedirs(part.rsplit("/", 1)[0], exist_ok=True)
            try:
                self.fs.put_file(file, part)
                if part != key:
                    self.fs.makedirs(key.rsplit("/", 1)[0], exist_ok=True)
                    self._move(part, key)
            except BaseException:
                if part != key:
                    self._drop(part)
                raise
        except Exception as error:  # border of a library
            raise store_error(self.uri, "write to", error) from error

    def _move(self, part: str, key: str) -> None:
        if isinstance(self.fs, LocalFileSystem):
            os.chmod(part, 0o444)  # a memory map's user must not spoil it
            os.replace(part, key)  # `mv` would copy where it cannot rename, and that is not atomic
        else:
            self.fs.mv(part, key)

    def _drop(self, part: str) -> None:
        try:
            self.fs.rm_file(part)
        except Exception:  # noqa: BLE001 - it is only a leftover: the error that led here matters more
            return


class _FsspecUpload:
    """A temporary file of this machine."""

    __slots__ = ("_file", "_path", "_store")

    def __init__(self, store: FsspecArtifactStore) -> None:
        self._store = store
        try:
            fd, self._path = mkstemp(prefix="core-upload-")
        except OSError as error:
            raise store_error(store.uri, "collect bytes on this machine for", error) from error
        self._file = os.fdopen(fd, "wb")

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append `data` to the file."""
        try:
            return self._file.write(data)
        except OSError as error:
            raise store_error(self._store.uri, "collect bytes on this machine for", error) from error

    def commit(self, digest: str) -> None:
        """Send the bytes. A blob already there has the same bytes, or was spoilt and is mended by this."""
        try:
            self._file.close()
        except OSError as error:
            raise store_error(self._store.uri, "collect bytes on this machine for", error) from error
        self._store.publish(self._path, digest)
        self.abort()

    def abort(self) -> None:
        """Drop the file; what reached the store was dropped there."""
        path, self._path = self._path, ""
        if path:
            with suppress(OSError):  # closing flushes; the error that led here matters more
                self._file.close()
            os.unlink(path)


def _modified(info: dict[str, Any]) -> float:
    """Seconds since 1970 from whatever the file system calls it; 0 where it does not tell."""
    for word in ("mtime", "LastModified", "last_modified", "modified", "updated", "created"):
        value = info.get(word)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str) and value:
            try:
                return datetime.fromisoformat(value).timestamp()
            except ValueError:
                continue
    return 0.0
