"""Which of a project's files travel into its image, and what is wrong with them, before anything is sent."""

from __future__ import annotations

import os
import re
import stat
from hashlib import sha256

from core.errors import ConfigurationError
from core.model.value import Value
from core.text import amount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pathspec import GitIgnoreSpec

IGNORE = ".coreignore"
"""File with patterns of what stays here; `.gitignore` files count where there is none."""
LIMIT = 500_000_000
"""Bytes that a project's files may have together, unless it says otherwise."""
NEVER = re.compile(
    r"\.git|\.hg|\.svn|\.core|\.venv|\.tox|\.nox|__pycache__|.*\.py[co]|\.DS_Store|\.ipynb_checkpoints|"
    r"\.(?:mypy|pytest|ruff|import_linter)_cache|\.hypothesis|\.coreignore"
)
"""Names of what nobody wants in an image."""
SECRET = re.compile(
    r"\.env(?:\.(?!example$|sample$|template$|dist$).*)?|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|.*\.(?:p12|pfx|jks|keystore)|"
    r"\.netrc|\.pypirc|\.pgpass|\.git-credentials|\.ssh|\.aws|\.azure|\.gnupg|\.kube|\.docker"
)
"""Names of what holds keys: it never travels, whatever the patterns say."""
_KEY_FILE = re.compile(r".*\.(?:pem|key)")
_SHOWN = 5


class SourceFile(Value):
    """One file or link that travels."""

    name: str
    """Path below the project, with `/`."""
    path: str
    """Where it lies here."""
    size: int
    """Bytes."""
    executable: bool
    link: str = ""
    """What a symbolic link points to, relative to it."""
    stamp: tuple[int, int, int] = (0, 0, 0)
    """Inode, time of content and of status in nanoseconds: what is the same when the file was not touched."""


class Selection(Value):
    """The files that travel, and what was said of the others."""

    root: str
    files: tuple[SourceFile, ...]
    """By name, in the order of its bytes."""
    left_out: tuple[str, ...]
    """What looks as if it belonged to the code and stays here: keys, sockets. With the reason, for people."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def stamp(self) -> str:
        """The same as long as no file was touched."""
        whole = sha256()
        for file in self.files:
            about = f"{file.name}\0{file.size}\0{file.executable}\0{file.link}\0{file.stamp}\n"
            whole.update(about.encode("utf-8", "surrogateescape"))
        return whole.hexdigest()


def select(root: str, include: Sequence[str] = (), ignore_file: str = "", limit: int = LIMIT) -> Selection:
    """The files below `root` that travel.

    Left out is what `.coreignore` says, or `.gitignore` files where there is none, or `ignore_file` (a path below
    `root`); `include` has patterns of what travels all the same. Raises `ConfigurationError` for a link out of the
    project, for more than `limit` bytes, and for an ignore file that is not there.
    """
    walk = _Walk(os.path.abspath(root), include, ignore_file)
    files = tuple(sorted(walk.files(), key=lambda file: os.fsencode(file.name)))
    if walk.leaving:
        raise ConfigurationError(
            f"{_some(walk.leaving)} below {root!r} point out of the project: there they would point to nothing",
            f"name them in {IGNORE}, or put what they point to into the project",
        )
    selection = Selection(walk.root, files, tuple(walk.left_out))
    if selection.size > limit:
        largest = sorted(files, key=lambda file: -file.size)[:_SHOWN]
        listed = ", ".join(f"{file.name!r} ({amount(file.size)})" for file in largest)
        raise ConfigurationError(
            f"project {root!r} has {amount(selection.size)} of files, more than {amount(limit)}; the largest: {listed}",
            f"name in {IGNORE} what steps do not need, or allow more: "
            f'ImageSettings(code_limit="{amount(selection.size * 1.1)}")',
        )
    return selection


class _Walk:
    """One walk through the project."""

    def __init__(self, root: str, include: Sequence[str], ignore_file: str) -> None:
        self.root = root
        self.real = os.path.realpath(root)
        self.leaving: list[str] = []
        self.left_out: list[str] = []
        self._include = _spec(include) if include else None
        self._prefixes = [_prefix(pattern) for pattern in include]
        chosen = ignore_file or (IGNORE if os.path.exists(os.path.join(root, IGNORE)) else "")
        self._nested = "" if chosen else ".gitignore"
        self._top: list[tuple[int, GitIgnoreSpec]] = [(0, self._read(os.path.join(root, chosen)))] if chosen else []

    def files(self) -> Iterator[SourceFile]:
        """All that travel, in no special order."""
        todo: list[tuple[str, list[tuple[int, GitIgnoreSpec]], bool]] = [("", self._top, False)]
        while todo:
            folder, specs, ignored = todo.pop()
            entries = self._entries(folder)
            if self._nested and any(entry.name == self._nested for entry in entries):
                specs = [*specs, (len(folder), self._read(os.path.join(self.root, folder, self._nested)))]
            for entry in entries:
                name = folder + entry.name
                if NEVER.fullmatch(entry.name):
                    continue
                below = entry.is_dir(follow_symlinks=False)
                out = ignored or _ignored(f"{name}/" if below else name, specs)
                if below:
                    if not (out and not self._may_hold(name)) and not self._secret(entry, name, quiet=out):
                        if os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
                            continue
                        todo.append((f"{name}/", specs, out))
                elif not out or self._wanted(name):
                    yield from self._file(entry, name)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                return list(entries)
        except OSError as error:
            raise ConfigurationError(
                f"folder {os.path.join(self.root, folder)!r} can't be read: {error.strerror}",
                f"mend its rights, or name it in {IGNORE}",
            ) from error

    def _file(self, entry: os.DirEntry[str], name: str) -> Iterator[SourceFile]:
        if self._secret(entry, name):
            return
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            target = os.path.realpath(entry.path)
            if target != self.real and not target.startswith(self.real + os.sep):
                self.leaving.append(name)
                return
            link = os.readlink(entry.path)
            if os.path.isabs(link):
                link = os.path.relpath(target, os.path.realpath(os.path.dirname(entry.path)))
            yield SourceFile(name, entry.path, 0, executable=True, link=link)
        elif stat.S_ISREG(status.st_mode):
            stamp = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
            yield SourceFile(name, entry.path, status.st_size, bool(status.st_mode & stat.S_IXUSR), "", stamp)
        else:
            self.left_out.append(f"{name} (a socket, pipe or device)")

    def _secret(self, entry: os.DirEntry[str], name: str, *, quiet: bool = False) -> bool:
        """Whether it holds keys, and so never travels."""
        found = SECRET.fullmatch(entry.name) is not None
        if not found and _KEY_FILE.fullmatch(entry.name) and entry.is_file():
            with open(entry.path, "rb") as file:
                found = b"PRIVATE KEY-----" in file.read(1 << 16)
        if found and not quiet:
            self.left_out.append(f"{name} (keys and environments never travel)")
        return found

    def _wanted(self, name: str) -> bool:
        return self._include is not None and self._include.match_file(name)

    def _may_hold(self, folder: str) -> bool:
        """Whether something below an ignored folder may be wanted all the same."""
        path = f"{folder}/"
        return any(path.startswith(prefix) or prefix.startswith(path) for prefix in self._prefixes)

    def _read(self, path: str) -> GitIgnoreSpec:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return _spec(file.read().splitlines())
        except OSError as error:
            raise ConfigurationError(
                f"the ignore file {path!r} can't be read: {error.strerror}", "name one that is there"
            ) from error


def _ignored(name: str, specs: Sequence[tuple[int, GitIgnoreSpec]]) -> bool:
    """Whether the patterns leave it out: those of the deepest folder that says anything count."""
    for length, spec in reversed(specs):
        verdict = spec.check_file(name[length:]).include
        if verdict is not None:
            return verdict
    return False


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # start-up time: a local run sends no files

    return GitIgnoreSpec.from_lines(lines)


def _prefix(pattern: str) -> str:
    """The part of a pattern before its first wildcard, up to a `/`; empty for one that may match at any depth."""
    stem = re.split(r"[*?\[]", pattern.lstrip("/"), maxsplit=1)[0]
    return stem if "/" in pattern.strip("/") or pattern.endswith("/") else ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"link{'s' if len(names) > 1 else ''} {', '.join(map(repr, sorted(names)[:_SHOWN]))}{more}"
