"""What a step's image settings mean once its pipeline's are beneath them, checked before anything is built."""

from __future__ import annotations

import platform
import re
import sys

from core.errors import ConfigurationError
from core.image.files import LIMIT
from core.model.spec import ImageSettings
from core.text import size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

PYTHON = "python:{version}-slim"
"""What is built on where nobody says."""
PROCESSORS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "arm/v7"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.:~=*-]*", re.IGNORECASE)
_SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


_BUILT = (
    *("requirements", "apt_packages", "environment", "include", "ignore_file", "code_limit", "build_secrets"),
    *("dockerfile", "build_context"),
)
"""Settings that only a build uses."""
_EXCLUDED = {
    "dockerfile": ("base_image", "skip_build"),
    "base_image": ("dockerfile", "build_context"),
    "skip_build": _BUILT,
}
"""A setting of a step, and those of its pipeline that it does away with."""


def merged(pipeline: ImageSettings | None, step: ImageSettings | None) -> ImageSettings:
    """`step`'s settings on top of `pipeline`'s; mappings are joined, and what a step excludes is dropped."""
    base, top, default = pipeline or ImageSettings(), step or ImageSettings(), ImageSettings()
    changed = {name: value for name, value in top._asdict().items() if value != getattr(default, name)}
    for name, excluded in _EXCLUDED.items():
        if changed.get(name):
            base = base._replace(**{each: getattr(default, each) for each in excluded})
    for name in ("environment", "build_secrets"):
        if name in changed:
            changed[name] = {**getattr(base, name), **changed[name]}
    return base._replace(**changed)


def check(settings: ImageSettings, where: str) -> ImageSettings:
    """`settings` with tuples for lists; raises for what contradicts itself or can't be read, beginning with `where`."""
    for checks in (_shapes, _contradictions, _variables, _misspelt):
        for what, hint in checks(settings):
            raise ConfigurationError(f"{where}: image setting {what}", hint)
    limit_of(settings, where)
    lists: dict[str, Any] = {name: tuple(each) for name, each in settings._asdict().items() if isinstance(each, list)}
    return settings._replace(**lists)


def _shapes(settings: ImageSettings) -> Iterator[tuple[str, str]]:
    for name, sample in (("apt_packages", "git"), ("include", "*.csv"), ("requirements", "numpy>=2")):
        value = getattr(settings, name)
        if name == "requirements" and (value is None or isinstance(value, str)):
            continue
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            yield f"{name}={value!r} is no list of texts", f'write {name}=["{sample}"]'


def _contradictions(settings: ImageSettings) -> Iterator[tuple[str, str]]:
    if settings.skip_build and not settings.base_image:
        ready = 'ImageSettings(base_image="HOST/NAME:TAG", skip_build=True)'
        yield "skip_build needs a ready image", f"name it: {ready}"
    for name in _BUILT if settings.skip_build else ():
        if getattr(settings, name):
            yield f"{name} is for what is built, and skip_build=True builds nothing", "leave one of them out"
    if settings.dockerfile and settings.base_image:
        yield "dockerfile and base_image exclude each other", "the Dockerfile's FROM names the base"
    if settings.build_context and not settings.dockerfile:
        yield "build_context is for a dockerfile of your own", "leave it out"


def _variables(settings: ImageSettings) -> Iterator[tuple[str, str]]:
    for name, value in settings.environment.items():
        if not _NAME.fullmatch(name):
            yield f"environment has the name {name!r}", "use letters, digits and '_'"
        if any(ord(each) < 32 for each in str(value)):
            yield f"environment[{name!r}] is no text of one line", "a Dockerfile holds no other"


def _misspelt(settings: ImageSettings) -> Iterator[tuple[str, str]]:
    if settings.python_version and not re.fullmatch(r"3\.\d+(\.\d+)?", settings.python_version):
        yield f"python_version={settings.python_version!r} is no version", 'write "3.12"'
    if settings.platform and not re.fullmatch(r"[a-z0-9]+/[a-z0-9_]+(/v\d)?", settings.platform):
        yield f"platform={settings.platform!r} is no platform", 'write "linux/amd64" or "linux/arm64"'
    for name in settings.apt_packages:
        if not _PACKAGE.fullmatch(name):
            yield f"apt_packages has {name!r}, which is no package", "one Debian package each, such as 'git'"
    for name, value in settings.build_secrets.items():
        if not _SECRET.fullmatch(name):
            yield f"build_secrets has the name {name!r}", "use letters, digits, '_', '-' and '.'"
        if not re.fullmatch(r"\{\{.+\}\}", value.strip()):
            mend = f"`core secret create NAME --{name}=@FILE`, then refer to it: '{{{{NAME.{name}}}}}'"
            yield f"build_secrets[{name!r}] is the secret itself", mend


def limit_of(settings: ImageSettings, where: str = "") -> int:
    """Bytes that a project's files may have."""
    if settings.code_limit is None:
        return LIMIT
    size = size_of(settings.code_limit)
    if size is None:
        raise ConfigurationError(
            f"{where}: image setting code_limit={settings.code_limit!r} is no size", 'write "2GB" or "500MB"'
        )
    return size


def based(settings: ImageSettings, base: str) -> ImageSettings:
    """`settings` on `base`, in which `{version}` is Python's, where they name nothing themselves."""
    if not base or settings.base_image or settings.dockerfile:
        return settings
    return settings._replace(base_image=base.replace("{version}", python_of(settings)))


def platform_of(settings: ImageSettings) -> str:
    """The platform of the image."""
    return settings.platform or f"linux/{PROCESSORS.get(platform.machine().lower(), 'amd64')}"


def python_of(settings: ImageSettings) -> str:
    """Version of Python, at least major and minor."""
    return settings.python_version or f"{sys.version_info[0]}.{sys.version_info[1]}"


def base_of(settings: ImageSettings) -> str:
    """Name of the image to build on."""
    return settings.base_image or PYTHON.format(version=python_of(settings))
