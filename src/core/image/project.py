"""The project on this machine: its folder, what Python imports from it, and which commit it stands at."""

from __future__ import annotations

import os
import subprocess
import sys

from core.errors import ConfigurationError
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.model.spec import StepSpec

FOLDER = "app"
"""Folder of the container, below `/`, in which the project lies."""
MARKS = (".coreignore", "pyproject.toml", ".git", ".core", "uv.lock", "setup.py")
"""A folder that has one of these is a project's top."""


class Project(Value):
    """What of this machine the container repeats."""

    root: str
    """Folder whose files travel."""
    paths: tuple[str, ...]
    """Folders below it from which Python imports, relative, in order; the root itself is the empty one."""
    workdir: str
    """The working folder, relative to the root; the root itself where it lies outside."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that let a container import what this process does."""
        return {"PYTHONPATH": ":".join(_inside(path) for path in self.paths)}

    @property
    def folder(self) -> str:
        """The container's working folder."""
        return _inside(self.workdir)


def find_project(specs: Mapping[str, StepSpec]) -> Project:
    """The project that the steps belong to; raises `ConfigurationError` for steps from elsewhere."""
    sources = {spec.source_root: node for node, spec in specs.items() if not _installed(spec.source_root)}
    here = os.getcwd()
    start = next(iter(sources), here)
    root = _top(start)
    for source, node in sources.items():
        if not _within(source, root):
            raise ConfigurationError(
                f"step {node!r} comes from {source!r}, outside of the project {root!r}: it would not be in the image",
                "install that as a package and name it in the requirements, or move it into the project",
            )
    paths = [*sys.path, *sources]
    inside = dict.fromkeys(os.path.relpath(os.path.abspath(path or here), root) for path in paths if _own(path, root))
    workdir = os.path.relpath(here, root) if _within(here, root) else "."
    return Project(root, tuple(inside), workdir)


def commit_of(root: str) -> Mapping[str, str]:
    """`commit`, and `dirty` as `true` or `false`; nothing where git knows nothing."""
    head = _git(root, "rev-parse", "HEAD")
    if not head:
        return {}
    changed = _git(root, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    return {"commit": head, "dirty": "true" if changed else "false"}


def _git(root: str, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", root, "--no-optional-locks", *words],  # noqa: S607 - whichever git the person uses
            check=False, capture_output=True, text=True, timeout=20, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _top(folder: str) -> str:
    """The nearest folder at or above `folder` that is a project's top, below the person's home; else `folder`."""
    folder = os.path.abspath(folder)
    home, place = os.path.expanduser("~"), folder
    while place not in {home, os.path.dirname(place)}:
        if any(os.path.exists(os.path.join(place, mark)) for mark in MARKS):
            return place
        place = os.path.dirname(place)
    return folder


def _own(path: str, root: str) -> bool:
    path = os.path.abspath(path or os.getcwd())
    return _within(path, root) and os.path.isdir(path) and not _installed(path)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root + os.sep)


def _installed(path: str) -> bool:
    """Whether a folder holds installed packages: those come from the requirements."""
    parts = set(os.path.abspath(path).split(os.sep))
    return bool(parts & {"site-packages", "dist-packages"}) or _within(
        os.path.abspath(path), os.path.abspath(sys.prefix)
    )


def _inside(relative: str) -> str:
    relative = "" if relative == "." else relative.replace(os.sep, "/")
    return f"/{FOLDER}/{relative}".rstrip("/")
