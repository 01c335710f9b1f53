"""References of images: `HOST/REPOSITORY:TAG@DIGEST` and back."""

from __future__ import annotations

import re

from core.errors import ConfigurationError
from core.model.value import Value

HUB = "docker.io"
"""Where an image lies whose name has no host."""
ENDPOINTS = {HUB: "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
"""Hosts whose API answers under another name."""
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")


class Reference(Value):
    """An image, or with neither tag nor digest a repository."""

    host: str
    """Host, and port if any."""
    repository: str
    """Path of the repository on the host."""
    tag: str = ""
    digest: str = ""
    """`sha256:` and hex; stronger than the tag."""

    @property
    def name(self) -> str:
        """The repository with its host."""
        return f"{self.host}/{self.repository}"

    @property
    def version(self) -> str:
        """What names the image in its repository."""
        return self.digest or self.tag or "latest"

    @property
    def endpoint(self) -> str:
        """Host that answers the API."""
        return ENDPOINTS.get(self.host, self.host)

    def __str__(self) -> str:
        """As people write it."""
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def at(self, digest: str) -> Reference:
        """The image with this digest in the same repository."""
        return self._replace(tag="", digest=digest)


def parse_reference(text: str) -> Reference:
    """`python:3.11-slim`, `HOST:PORT/team/app@sha256:...`; raises `ConfigurationError` for what names no image."""
    rest, at, digest = text.partition("@")
    first, slash, path = rest.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, path = HUB, rest
    name, colon, tag = path.rpartition(":")
    if not colon:
        name, tag = path, ""
    if first == HUB and "/" not in name:
        name = f"library/{name}"
    if not _REPOSITORY.fullmatch(name) or (colon and not _TAG.fullmatch(tag)) or (at and not _DIGEST.fullmatch(digest)):
        raise ConfigurationError(
            f"{text!r} names no image", "write HOST/NAME:TAG or HOST/NAME@sha256:DIGEST, the name in lower case"
        )
    return Reference(first, name, tag, digest)


def loopback(host: str) -> bool:
    """Whether `host` (with a port or without) is this machine itself: registries there speak plain http."""
    return _LOOPBACK.fullmatch(host) is not None
