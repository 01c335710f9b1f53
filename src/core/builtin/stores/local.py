"""The `local` artifact store: read-only files in a folder of this machine, named by their digest."""

from __future__ import annotations

import os

from core.builtin.stores.trouble import LENGTH, hex_of, store_error
from core.errors import NotFoundError
from core.ports.artifact_store import ArtifactStore, Blob, Named, check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO, ClassVar

TEMPORARY = "tmp"
"""Folder of unfinished uploads, inside the store's own so that a rename publishes them."""
SPREAD = 1
"""Hex digits that name a folder: 16 are soon made (each costs as much as three files) and divide a million files."""
BINARY = getattr(os, "O_BINARY", 0)


class LocalArtifactStore(ArtifactStore):
    """Keeps the blob `abcd...` as `ROOT/a/bcd...`. Folders are made when first needed."""

    flavor: ClassVar[str] = "local"
    Settings: ClassVar[Any] = "core.builtin.stores.settings:LocalSettings"

    def __init__(self, settings: Any, *, durability: str = "process") -> None:
        """`settings` is the folder, or the settings model; `durability` "power" adds fsync to every publication."""
        super().__init__(None if isinstance(settings, str) else settings)
        path = settings if isinstance(settings, str) else settings.path
        self.root = os.path.abspath(os.path.expanduser(path))
        self.uri = "file://" + self.root
        self.fsync = (durability if self.settings is None else settings.durability) == "power"
        self._count = 0

    def begin(self) -> _FileUpload:
        """Start an upload into a temporary file."""
        self._count += 1
        name = f"{os.getpid():x}-{self._count:x}-{os.urandom(6).hex()}"
        path = os.path.join(self.root, TEMPORARY, name)
        try:
            return _FileUpload(self, path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise store_error(self.uri, "write to", error) from error
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return _FileUpload(self, path)
        except OSError as error:
            raise store_error(self.uri, "write to", error) from error

    def _file(self, digest: str) -> str:
        digits = hex_of(digest, self.uri)
        return f"{self.root}{os.sep}{digits[:SPREAD]}{os.sep}{digits[SPREAD:]}"

    def open(self, digest: str) -> BinaryIO:
        """The blob's file."""
        try:
            return open(self._file(digest), "rb")
        except FileNotFoundError:
            raise NotFoundError(f"artifact {digest} is not in {self.uri}") from None
        except OSError as error:
            raise store_error(self.uri, "read from", error) from error

    def path(self, digest: str) -> str:
        """The blob's file, whether it is there or not."""
        return self._file(digest)

    def exists(self, digest: str) -> bool:
        """Whether the blob is published."""
        return os.path.exists(self._file(digest))

    def delete(self, digest: str) -> None:
        """Remove the blob's file."""
        try:
            os.unlink(self._file(digest))
        except FileNotFoundError:
            return
        except OSError as error:
            raise store_error(self.uri, "delete from", error) from error

    def list(self) -> Iterator[Blob]:
        """Every blob; unfinished uploads and strange files are passed over."""
        try:
            folders = [name for name in os.listdir(self.root) if len(name) == SPREAD]
            for folder in folders:
                with os.scandir(os.path.join(self.root, folder)) as entries:
                    for entry in entries:
                        if len(folder) + len(entry.name) == LENGTH:
                            stat = entry.stat()
                            yield Blob(f"blake3:{folder}{entry.name}", stat.st_size, stat.st_mtime)
        except FileNotFoundError:
            return  # nothing was ever written, or it was deleted under our eyes
        except OSError as error:
            raise store_error(self.uri, "list", error) from error

    def write(self, name: str, data: bytes, *, new: bool = False) -> bool:
        """A file of that name; a hard link makes a new one appear whole, and only once."""
        path = os.path.join(self.root, *check_name(name))
        upload = self.begin()
        try:
            upload.write(data)
            return upload.publish(path, new=new)
        finally:
            upload.abort()

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        try:
            with open(os.path.join(self.root, *check_name(name)), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(f"object {name!r} is not in {self.uri}") from None
        except OSError as error:
            raise store_error(self.uri, "read from", error) from error

    def names(self, folder: str) -> Iterator[Named]:
        """Every file below the folder."""
        top = os.path.join(self.root, *check_name(folder))
        try:
            for where, _, files in os.walk(top, onerror=_unless_gone):
                for file in files:
                    path = os.path.join(where, file)
                    stat = _stat(path)
                    if stat is not None:
                        name = os.path.relpath(path, self.root).replace(os.sep, "/")
                        yield Named(name, stat.st_size, stat.st_mtime)
        except OSError as error:
            raise store_error(self.uri, "list", error) from error

    def remove(self, name: str) -> None:
        """Remove the file."""
        try:
            os.unlink(os.path.join(self.root, *check_name(name)))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise store_error(self.uri, "delete from", error) from error

    def tidy(self, before: float, *, dry_run: bool = False) -> int:
        """Remove temporary files older than `before`."""
        count = 0
        try:
            with os.scandir(os.path.join(self.root, TEMPORARY)) as entries:
                for entry in entries:
                    if entry.stat().st_mtime < before:
                        count += 1
                        if not dry_run:
                            os.unlink(entry.path)
        except FileNotFoundError:
            return count  # nothing was ever written, or its writer was faster
        except OSError as error:
            raise store_error(self.uri, "delete from", error) from error
        return count


class _FileUpload:
    """A temporary file, written without a buffer, that becomes a blob by a rename."""

    __slots__ = ("_fd", "_path", "_store")

    def __init__(self, store: LocalArtifactStore, path: str) -> None:
        self._store = store
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o444)

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append `data`."""
        try:
            done = os.write(self._fd, data)
            length = data.nbytes if isinstance(data, memoryview) else len(data)
            if done < length:  # a full disk, a limit, a signal: write the rest or learn why not
                view = memoryview(data).cast("B")
                while done < length:
                    done += os.write(self._fd, view[done:])
        except OSError as error:
            raise store_error(self._store.uri, "write to", error) from error
        return length

    def commit(self, digest: str) -> None:
        """Rename the file to its place; a blob already there has the same bytes, or was spoilt and is mended so."""
        self.publish(self._store._file(digest))

    def publish(self, target: str, *, new: bool = False) -> bool:
        """Give the file the path `target`; with `new`, only if there is none, which it tells."""
        folder = os.path.dirname(target)
        put = os.link if new else os.replace
        try:
            if self._store.fsync:
                os.fsync(self._fd)
            fd, self._fd = self._fd, -1
            os.close(fd)
            try:
                put(self._path, target)
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)
                put(self._path, target)
                if self._store.fsync:
                    _sync_folder(self._store.root)
            if self._store.fsync:
                _sync_folder(folder)
        except FileExistsError:
            return False
        except OSError as error:
            raise store_error(self._store.uri, "write to", error) from error
        if not new:
            self._path = ""  # else `abort` removes the other name
        return True

    def abort(self) -> None:
        """Close and remove the temporary file."""
        fd, self._fd = self._fd, -1
        path, self._path = self._path, ""
        try:
            if fd >= 0:
                os.close(fd)
        except OSError:
            pass  # of a broken disk; the error that led here matters more
        try:
            if path:
                os.unlink(path)
        except OSError:
            pass  # it is only a leftover


def _sync_folder(path: str) -> None:
    """Make names in the folder survive a loss of power."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None  # removed under our eyes


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
