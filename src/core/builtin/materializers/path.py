"""The `path` materializer: a file or folder with its name, as a manifest and the contents of each file."""

from __future__ import annotations

import os
import shutil
import stat
from json import dumps, loads
from pathlib import Path

from core.context import get_context
from core.errors import CorruptDataError, OutputError, UsageError
from core.ports.materializer import Materializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from core.ports.materializer import Reader, Writer

SLICE = 4 << 20
EXECUTE = 0o111


class FileContent:
    """The bytes of one file; the part of a stored path that gets a blob of its own."""

    def __init__(self, path: str) -> None:
        self.path = path


class FileMaterializer(Materializer):
    """Contents of a file as they are; nested in a stored path."""

    name = "file"

    def save(self, value: Any, out: Writer) -> None:
        """Copy the file's bytes."""
        try:
            with open(value.path, "rb") as file:
                while data := file.read(SLICE):
                    out.write(data)
        except OSError as error:
            raise OutputError(
                f"file {value.path!r} can't be read: {error}", "return a path that this user can read"
            ) from error

    def load(self, source: Reader) -> FileContent:
        """A copy of the bytes in a file of the caller's own: who loads may change it."""
        folder = _fresh_folder()
        target = os.path.join(folder, "content")
        path = source.path()
        if path is not None:
            shutil.copyfile(path, target)
        else:
            with open(target, "wb") as file:
                file.write(source.read())
        return FileContent(target)


class PathMaterializer(Materializer):
    """Files and folders. A link inside a folder is kept when it stays inside."""

    name = "path"

    def save(self, value: Any, out: Writer) -> None:
        """Write the manifest; each file's bytes are nested."""
        path = os.fspath(value)
        if not os.path.exists(path):
            raise OutputError(
                f"path {path!r} does not exist",
                "return a file or folder that exists, or a str if you mean only its name",
            )
        name = os.path.basename(os.path.abspath(path))
        if os.path.isdir(path):
            entries = [[inside, *_entry(path, inside, out)] for inside in _walk(path)]
            manifest: dict[str, Any] = {"name": name, "folder": entries}
        else:
            manifest = {"name": name, "file": _file(os.path.realpath(path), out)}
        out.write(dumps(manifest, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogateescape"))

    def load(self, source: Reader) -> Path:
        """A copy in a fresh temporary folder: the step's own, or one that goes when this process ends."""
        manifest = loads(source.read().decode("utf-8", "surrogateescape"))
        top = os.path.join(_fresh_folder(), _safe(manifest["name"] or "folder"))
        if "file" in manifest:
            _put(manifest["file"], top, source)
            return Path(top)
        os.makedirs(top)
        for inside, kind, data in manifest["folder"]:
            target = os.path.join(top, *map(_safe, inside.split("/")))
            if os.path.realpath(os.path.dirname(target)) != os.path.dirname(
                target.replace(top, os.path.realpath(top), 1)
            ):
                raise CorruptDataError(f"stored folder has {inside!r} behind a link", "run the step that made it again")
            if kind == "folder":
                os.makedirs(target)
            elif kind == "link":
                if not _within(top, os.path.join(os.path.dirname(target), data)):
                    raise CorruptDataError(
                        f"stored folder has a link {inside!r} that leaves it", "run the step that made it again"
                    )
                os.symlink(data, target)
            else:
                _put(data, target, source)
        return Path(top)

    def preview(self, value: Any) -> dict[str, Any]:
        """Name and, for a folder, the first names in it."""
        if not value.is_dir():
            return {"name": value.name, "bytes": value.stat().st_size}
        return {"name": value.name, "folder": sorted(os.listdir(value))[:20]}


def _walk(top: str) -> Iterator[str]:
    """Everything below `top`, relative, parents first, in one order everywhere; links are not followed."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        below = []
        with os.scandir(os.path.join(top, folder)) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                inside = f"{folder}/{entry.name}" if folder else entry.name
                yield inside
                if entry.is_dir(follow_symlinks=False):
                    below.append(inside)
        waiting.extend(reversed(below))


def _entry(top: str, inside: str, out: Writer) -> tuple[str, Any]:
    path = os.path.join(top, inside)
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        target = os.readlink(path)
        if os.path.isabs(target) or not _within(top, os.path.join(os.path.dirname(path), target)):
            raise OutputError(
                f"folder {top!r} has a link {inside!r} to {target!r}, outside of it",
                "copy what it points to into the folder",
            )
        return "link", target
    if stat.S_ISDIR(mode):
        return "folder", None
    if not stat.S_ISREG(mode):
        raise OutputError(
            f"folder {top!r} has {inside!r}, which is no file, folder or link", "remove it before the step returns"
        )
    return "file", _file(path, out)


def _file(path: str, out: Writer) -> dict[str, Any]:
    content = out.child(FileContent(path))
    executable = os.stat(path).st_mode & EXECUTE
    return {"content": content, "executable": True} if executable else {"content": content}


def _put(data: dict[str, Any], target: str, source: Reader) -> None:
    content = source.child(data["content"]).path
    os.replace(content, target)
    os.rmdir(os.path.dirname(content))
    if data.get("executable"):
        os.chmod(target, os.stat(target).st_mode | EXECUTE)


def _within(top: str, path: str) -> bool:
    real = os.path.realpath(top)
    return os.path.commonpath([real, os.path.realpath(path)]) == real


def _safe(name: str) -> str:
    """`name` if it is one plain name: a manifest from elsewhere must not write outside its folder."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name or os.sep in name:
        raise CorruptDataError(
            f"stored path has the name {name!r}, which could lie elsewhere", "run the step that made it again"
        )
    return name


def _fresh_folder() -> str:
    import tempfile  # start-up time: only loads come here

    try:
        return tempfile.mkdtemp(prefix="loaded-", dir=get_context().temporary_folder)
    except UsageError:
        return tempfile.mkdtemp(prefix="loaded-", dir=_session_folder())


_session: list[str] = []


def _session_folder() -> str:
    """A folder for paths that are loaded outside of steps; removed when the process ends."""
    if not _session or not os.path.isdir(_session[0]):
        import atexit  # start-up time: only loads come here
        import tempfile  # start-up time: the same

        _session[:] = [tempfile.mkdtemp(prefix="core-loaded-")]
        atexit.register(shutil.rmtree, _session[0], ignore_errors=True)
    return _session[0]
