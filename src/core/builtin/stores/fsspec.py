"""The `fsspec` artifact store: blobs in any place that fsspec has a file system for."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from inspect import signature
from tempfile import NamedTemporaryFile, gettempdir, mkstemp
from threading import Lock

import fsspec
from fsspec.implementations.local import LocalFileSystem

from core.artifacts import DOWNLOAD
from core.builtin.stores.retry import Patience
from core.builtin.stores.trouble import HEX, LENGTH, hex_of, store_error
from core.errors import NotFoundError, StoreError
from core.ports.artifact_store import ArtifactStore, Blob, Named, check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, BinaryIO, ClassVar

TEMPORARY = "tmp"
SPOOL = "core-upload-"
"""How the temporary files of this machine begin in which bytes wait."""
ATOMIC = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "r2"}
"""Protocols whose objects appear whole, when their upload ends: they need no temporary key and no move."""
HERE = {"file", "local", "memory"}
"""Protocols of places that only this machine, or this process, can reach."""
MANY = 256
"""Objects that are read at a time."""
_one_by_one = Lock()

NETWORK = {"cat", "cat_file", "exists", "find", "makedirs", "mv", "open", "pipe_file", "put_file", "rm_file"}
"""Calls of a file system that are tried again."""


class FsspecArtifactStore(ArtifactStore):
    """Keeps the blob `abcd...` as `URL/a/bcd...`.

    Bytes wait on this machine until their digest is known, and then go up at once. What fails because the storage is
    overloaded or away is tried again for a while (`core.builtin.stores.retry`).
    """

    flavor: ClassVar[str] = "fsspec"
    Settings: ClassVar[Any] = "core.builtin.stores.settings:FsspecSettings"

    def __init__(self, settings: Any, **storage_options: Any) -> None:
        """`settings` is the URL, or the settings model; `storage_options` go to fsspec."""
        super().__init__(None if isinstance(settings, str) else settings)
        self._url = settings if isinstance(settings, str) else settings.path
        self._options = storage_options if self.settings is None else settings.storage_options
        self.uri = self._url.rstrip("/")
        self.patience = Patience() if self.settings is None else Patience(settings.retry_seconds)
        self._fs: Any = None
        self._process = 0
        self.root = self._begin()
        self.atomic = bool(self._protocols() & ATOMIC)
        self.remote = not self._protocols() & HERE  # type: ignore[misc] # here it hangs on the URL
        self.many = self.remote and self._in_threads()

    @property
    def fs(self) -> Any:
        """The file system; one of its own in each process, because connections do not survive a fork."""
        if self._process != os.getpid():
            self._begin()
        return self._fs

    def _begin(self) -> str:
        """Make this process's file system; gives the store's folder, as the file system calls it."""
        try:
            fs, root = fsspec.core.url_to_fs(self._url, **self._options)
        except Exception as error:  # border of a library: each file system raises its own
            raise self._trouble("open", error) from error
        self._fs, self._process = fs if isinstance(fs, LocalFileSystem) else Patient(fs, self.patience), os.getpid()
        return str(root).rstrip("/")

    def _protocols(self) -> set[str]:
        return {self.fs.protocol} if isinstance(self.fs.protocol, str) else set(self.fs.protocol)

    def _in_threads(self) -> bool:
        """Whether the file system may be used by many threads: those that run on an event loop of their own may."""
        return bool(getattr(self.fs, "async_impl", False))

    def _trouble(self, doing: str, error: Exception) -> StoreError:
        """The error to raise for one of the file system, which came while `doing`."""
        return store_error(self.uri, doing, error)

    @property
    def shared(self) -> bool:
        """Not in memory and not on this machine's own disk, unless the settings say otherwise."""
        wanted = getattr(self.settings, "shared", None)
        return self.uri.partition("://")[0] not in {"memory", "file", "local"} if wanted is None else bool(wanted)

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
            raise self._trouble("read from", error) from error

    def path(self, digest: str) -> str | None:
        """The blob's file where the file system is this machine's own."""
        return self.key(digest) if isinstance(self.fs, LocalFileSystem) else None

    def exists(self, digest: str) -> bool:
        """Whether the blob is published."""
        return self._has(self.key(digest))

    def delete(self, digest: str) -> None:
        """Remove the blob's file."""
        self._remove(self.key(digest))

    def _remove(self, key: str) -> None:
        try:
            self.fs.rm_file(key)
        except FileNotFoundError:
            return
        except Exception as error:  # border of a library
            if not self._has(key):
                return  # each file system has its own word for "not there"
            raise self._trouble("delete from", error) from error

    def list(self) -> Iterator[Blob]:
        """Every blob; unfinished uploads and strange files are passed over."""
        try:
            self.fs.invalidate_cache()
            found = self.fs.find(self.root, detail=True)
        except FileNotFoundError:
            return
        except Exception as error:  # border of a library
            raise self._trouble("list", error) from error
        for name, info in found.items():
            digits = name[len(self.root) + 1 :].replace("/", "", 1)
            if len(digits) == LENGTH and HEX.issuperset(digits) and name[-LENGTH] == "/":
                yield Blob(f"blake3:{digits}", int(info["size"]), _modified(info))

    def tidy(self, before: float, *, dry_run: bool = False) -> int:
        """Remove what killed processes left: temporary files of this machine, and in the store."""
        here = [path for path in _spooled() if _older(path, before)]
        parts = () if self.atomic else self._below(f"{self.root}/{TEMPORARY}")
        there = [found.name for found in parts if 0 < found.modified < before]  # 0: it does not tell
        if not dry_run:
            for name in there:
                self._remove(f"{self.root}/{name}")
            for path in here:
                with suppress(FileNotFoundError):  # somebody else was at it
                    os.unlink(path)
        return len(here) + len(there)

    def write(self, name: str, data: bytes, *, new: bool = False) -> bool:
        """One request where objects appear whole. Where the file system has no exclusive creation, two may both win."""
        key = self._named(name)
        if self.atomic:
            return self._pipe(key, name, data, new=new)
        with _one_by_one:  # of this process; between processes the file system decides
            if new and self._has(key):
                return False
            if not isinstance(self.fs, LocalFileSystem):
                self._making(key.rsplit("/", 1)[0])
                return self._pipe(key, name, data, new=new)
            with NamedTemporaryFile(prefix=SPOOL) as file:
                file.write(data)
                file.flush()
                return self._send(file.name, key, new=new)

    def _pipe(self, key: str, name: str, data: bytes, *, new: bool) -> bool:
        try:
            self.fs.pipe_file(key, data, **({"mode": "create"} if new else {}))
        except FileExistsError:
            return False
        except Exception as error:  # border of a library: each file system has its own word for "it is there"
            with suppress(StoreError):  # the first error matters more
                if new and self._has(key):
                    return False
            raise self._trouble(f"write {name} to", error) from error
        return True

    def _named(self, name: str) -> str:
        return f"{self.root}/{'/'.join(check_name(name))}"

    def _has(self, key: str) -> bool:
        try:
            self.fs.invalidate_cache()
            return bool(self.fs.exists(key))
        except Exception as error:  # border of a library
            raise self._trouble("read from", error) from error

    def _making(self, folder: str) -> None:
        try:
            self.fs.makedirs(folder, exist_ok=True)
        except Exception as error:  # border of a library
            raise self._trouble("write to", error) from error

    def read(self, name: str) -> bytes:
        """The object's bytes, in one request."""
        key = self._named(name)
        try:
            return bytes(self.fs.cat_file(key, **self._reading))
        except FileNotFoundError:
            raise NotFoundError(f"object {name!r} is not in {self.uri}") from None
        except Exception as error:  # border of a library
            raise self._trouble("read from", error) from error

    def read_all(self, names: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
        """Many requests at a time where the file system can."""
        for start in range(0, len(names), MANY):
            some = {self._named(name): name for name in names[start : start + MANY]}
            try:
                found = self.fs.cat(list(some), on_error="return", **self._reading)
            except Exception as error:  # border of a library
                raise self._trouble("read from", error) from error
            for key, name in some.items():
                data = found.get(key)
                if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                    raise self._trouble("read from", data) from data
                yield name, None if data is None or isinstance(data, Exception) else bytes(data)

    @cached_property
    def _reading(self) -> dict[str, Any]:
        """Options that keep the file system from asking for the size of a small object first."""
        one = getattr(self.fs, "_cat_file", None)
        return {"max_concurrency": 1} if one and "max_concurrency" in signature(one).parameters else {}

    def names(self, folder: str) -> Iterator[Named]:
        """Every object below the folder, asked anew."""
        return self._below(self._named(folder))

    def _below(self, folder: str) -> Iterator[Named]:
        try:
            self.fs.invalidate_cache()
            found = self.fs.find(folder, detail=True)
        except FileNotFoundError:
            return
        except Exception as error:  # border of a library
            raise self._trouble("list", error) from error
        for key, info in found.items():
            yield Named(key[len(self.root) + 1 :], int(info["size"]), _modified(info))

    def remove(self, name: str) -> None:
        """Remove the object."""
        self._remove(self._named(name))

    def publish(self, file: str, digest: str) -> None:
        """Send a local file to the blob's key; readers see all of it or nothing."""
        self._send(file, self.key(digest))

    def _send(self, file: str, key: str, *, new: bool = False) -> bool:
        part = key if self.atomic else f"{self.root}/{TEMPORARY}/{os.urandom(8).hex()}"
        try:
            self.fs.makedirs(part.rsplit("/", 1)[0], exist_ok=True)
            try:
                self.fs.put_file(file, part)
                if part != key:
                    self.fs.makedirs(key.rsplit("/", 1)[0], exist_ok=True)
                    self._move(part, key, new=new)
            except BaseException:
                if part != key:
                    self._drop(part)
                raise
        except Exception as error:  # border of a library
            if new and isinstance(error, FileExistsError):
                return False
            raise self._trouble("write to", error) from error
        return True

    def _move(self, part: str, key: str, *, new: bool) -> None:
        if isinstance(self.fs, LocalFileSystem):
            os.chmod(part, 0o444)  # a memory map's user must not spoil it
            if new:
                os.link(part, key)
                os.unlink(part)
                return
            os.replace(part, key)  # `mv` would copy where it cannot rename, and that is not atomic
        else:
            self.fs.mv(part, key)

    def _drop(self, part: str) -> None:
        try:
            self.fs.rm_file(part)
        except Exception:  # noqa: BLE001 - it is only a leftover: the error that led here matters more
            return


class Patient:
    """A file system whose calls are tried again; asking one twice does no harm, for a blob's name tells its bytes."""

    def __init__(self, fs: Any, patience: Patience) -> None:
        self._fs, self._patience = fs, patience

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._fs, name)
        if name.startswith("_") or name not in NETWORK:
            return found

        def call(*words: Any, **options: Any) -> Any:
            if options.get("mode") == "create":
                return found(*words, **options)  # a second try would find what the first one wrote
            return self._patience.call(lambda: found(*words, **options))

        return call


class _FsspecUpload:
    """A temporary file of this machine."""

    __slots__ = ("_file", "_path", "_store")

    def __init__(self, store: FsspecArtifactStore) -> None:
        self._store = store
        try:
            fd, self._path = mkstemp(prefix=SPOOL)
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


def _spooled() -> Iterator[str]:
    """Temporary files of this user's processes, dead or alive, for bytes on their way to a remote store or from it."""
    folder = gettempdir()
    for name in os.listdir(folder):
        if name.startswith((SPOOL, DOWNLOAD)):
            yield os.path.join(folder, name)


def _older(path: str, before: float) -> bool:
    """Whether it is ours, and was not written since."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    return status.st_mtime < before and status.st_uid == getattr(os, "getuid", lambda: status.st_uid)()


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
