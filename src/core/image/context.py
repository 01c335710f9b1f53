"""The build context of a Dockerfile of the user's own."""

from __future__ import annotations

import os
from hashlib import sha256

from core.errors import ConfigurationError


def context_files(folder: str) -> list[str]:
    """Files of a build context, sorted, as the SDK reads its `.dockerignore`; raises `ConfigurationError`."""
    from docker.utils.build import exclude_paths  # start-up time: few pipelines have a Dockerfile of their own

    if not os.path.isdir(folder):
        raise ConfigurationError(
            f"build_context {folder!r} is no folder", "name the folder that the Dockerfile copies from"
        )
    patterns = []
    ignore = os.path.join(folder, ".dockerignore")
    if os.path.exists(ignore):
        with open(ignore, encoding="utf-8") as file:
            patterns = [line for line in file.read().splitlines() if line.strip() and not line.startswith("#")]
    return sorted(name for name in exclude_paths(folder, patterns) if os.path.isfile(os.path.join(folder, name)))


def context_digest(folder: str) -> str:
    """Digest of names, bytes and executable bits of all files of the context; empty for no folder."""
    if not folder:
        return ""
    whole = sha256()
    for name in context_files(folder):
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            inner = sha256(file.read()).hexdigest()
        whole.update(f"{name}\0{inner}\0{os.access(path, os.X_OK)}\0".encode("utf-8", "surrogateescape"))
    return f"sha256:{whole.hexdigest()}"
