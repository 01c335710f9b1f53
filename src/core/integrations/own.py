"""Where core's own packages come from: a folder of wheels, the checkout, an index that somebody configured.

Their names may belong to strangers on the public index. So a wheel that is at hand is asked for by its path, and an
index is asked only where somebody has configured one.
"""

from __future__ import annotations

import os
import sys

from core.errors import PACKAGE, ConfigurationError, InfrastructureError, NotFoundError
from core.integrations.agreement import is_ours
from core.integrations.environment import requirement
from core.plugins.discover import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from core.integrations.tool import Tool

_BACKEND = """
import importlib, os, sys
hook, (name, _, attribute), project, *words = sys.argv[1], sys.argv[2].partition(":"), *sys.argv[3:]
backend = importlib.import_module(name)
for part in filter(None, attribute.split(".")):
    backend = getattr(backend, part)
os.chdir(project)
print(getattr(backend, hook, lambda: [])(*words))
"""
"""Calls one hook of a build backend (PEP 517, PEP 660), in a process of its own."""


def wanted(pins: Sequence[str], tool: Tool, find_links: Sequence[str]) -> list[str]:
    """`pins` and the plugins that they want in turn, each as `NAME @ file:...` or, from an index, as it was.

    Raises `NotFoundError` for a package that is in no folder while no index is configured.
    """
    todo, found = list(pins), dict[str, str]()
    while todo:
        pin = todo.pop(0)
        name, version = requirement(pin)
        if name in found or not is_ours(name):
            found.setdefault(name, pin)
            continue
        wheel = _wheel(name, version, tool, find_links)
        found[name] = f"{name} @ {_url(wheel)}" if wheel else pin
        if wheel:
            todo += [text for text in _wants(wheel) if text.partition("==")[0] not in {"core", *found}]
    return list(found.values())


def checkout() -> str:
    """Folder of the checkout that core runs from; empty when it is installed like any other package."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(PACKAGE)))
    return root if os.path.isdir(os.path.join(root, "plugins")) and _project(root).get("name") == "core" else ""


def _wheel(name: str, version: str, tool: Tool, find_links: Sequence[str]) -> str:
    """Path of the package's wheel; of an editable one from a checkout; empty for what an index has."""
    here = dict(_wheels(find_links, name))
    if version in here:
        return here[version]
    if find_links:
        others = f"; it has {', '.join(sorted(here))}" if here else ""
        raise NotFoundError(
            f"there is no wheel of {name} {version} in {', '.join(map(repr, find_links))}{others}",
            "`make dist` in a checkout of core builds all wheels into dist/",
        )
    root = checkout()
    if root:
        return _from_checkout(root, name, version, tool)
    if tool.index():
        return ""
    raise NotFoundError(
        f"{name} {version} is in no folder that core was told of, and the public index is not asked for it",
        "name a folder of wheels with --find-links (`make dist` makes one), or your own index: "
        "UV_DEFAULT_INDEX for uv, PIP_INDEX_URL for both",
    )


def _wheels(folders: Sequence[str], name: str) -> Iterator[tuple[str, str]]:
    """Version and path of every wheel of `name`; of two with one version the last folder's."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # start-up time: only who installs

    for folder in reversed(folders):
        try:
            files = sorted(os.listdir(folder))
        except OSError as error:
            raise NotFoundError(
                f"the folder {folder!r} of --find-links cannot be read: {error.strerror}", "name a folder with wheels"
            ) from error
        for file in files:
            try:
                found, version, _, _ = parse_wheel_filename(file)
            except InvalidWheelFilename:
                continue
            if found == name:
                yield str(version), os.path.abspath(os.path.join(folder, file))


def _from_checkout(root: str, name: str, version: str, tool: Tool) -> str:
    plugins = os.path.join(root, "plugins")
    projects = {folder: _project(os.path.join(plugins, folder)) for folder in sorted(os.listdir(plugins))}
    for folder, project in projects.items():
        if canonical(project.get("name", "")) == name:
            if project.get("version") != version:
                raise ConfigurationError(
                    f"plugins/{folder} of the checkout has version {project.get('version')!r}; expected {version!r}",
                    "all packages of core have one version: pull the checkout as a whole",
                )
            return editable(os.path.join(plugins, folder), tool)
    built = ", ".join(sorted(project["name"] for project in projects.values() if "name" in project))
    raise NotFoundError(f"the checkout {root!r} has no plugin {name!r}", f"it has {built}")


def _project(folder: str) -> dict[str, Any]:
    """`[project]` of the folder's pyproject.toml; empty without one."""
    return _toml(folder).get("project", {})  # type: ignore[no-any-return]


def _toml(folder: str) -> dict[str, Any]:
    import tomllib  # start-up time: only who installs from a checkout

    try:
        with open(os.path.join(folder, "pyproject.toml"), "rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError):
        return {}


def editable(project: str, tool: Tool) -> str:
    """Path of a new wheel through which Python sees the sources where they lie (PEP 660)."""
    import ast  # start-up time: only who installs from a checkout

    system = _toml(project).get("build-system", {})
    backend = system.get("build-backend", "hatchling.build")
    folders = [os.path.join(tool.work, "backend"), os.path.join(tool.work, "backend-more")]
    tool.unpack(system.get("requires", ["hatchling"]), folders[0], deps=True)
    more = ast.literal_eval(_hook("get_requires_for_build_editable", backend, project, folders))
    if more:
        tool.unpack(more, folders[1], deps=True)
    wheels = os.path.join(tool.work, "own")
    os.makedirs(wheels, exist_ok=True)
    return os.path.join(wheels, _hook("build_editable", backend, project, folders, wheels))


def _hook(name: str, backend: str, project: str, path: Sequence[str], *words: str) -> str:
    """What a hook of the project's build backend returns, as text."""
    import subprocess  # start-up time: only who installs from a checkout

    done = subprocess.run(  # noqa: S603 - words are our own
        [sys.executable, "-c", _BACKEND, name, backend, project, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
    )
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["it says nothing"]
        raise InfrastructureError(f"{project!r} cannot be built: {told[-1]}", "mend it, and try again")
    return done.stdout.strip().splitlines()[-1]


def _wants(wheel: str) -> Iterator[str]:
    """The requirements of a wheel that are core's own packages."""
    for text in metadata(wheel):
        bare = text.partition(";")[0].strip()
        if is_ours(canonical(bare.partition("==")[0].partition("[")[0].strip())) and "extra ==" not in text:
            yield bare


def metadata(wheel: str) -> tuple[str, ...]:
    """Requirement strings of a wheel file; raises `ConfigurationError` for a file that is none."""
    from email.parser import HeaderParser  # start-up time: only who installs
    from zipfile import BadZipFile, ZipFile  # start-up time: the same

    try:
        with ZipFile(wheel) as file:
            name = next(each for each in file.namelist() if each.endswith(".dist-info/METADATA"))
            return tuple(HeaderParser().parsestr(file.read(name).decode()).get_all("Requires-Dist") or ())
    except (BadZipFile, StopIteration, OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{wheel!r} is no wheel: {error}", "build it again: `make dist`") from error


def _url(path: str) -> str:
    from pathlib import Path  # start-up time: only who installs

    return Path(path).as_uri()


def at_hand(requirements: Sequence[str]) -> Mapping[str, str]:
    """Name to path of the requirements that are wheels by path."""
    from urllib.parse import urlparse  # start-up time: only who installs
    from urllib.request import url2pathname  # start-up time: the same

    pairs = (text.split(" @ ", 1) for text in requirements if " @ " in text)
    return {name: url2pathname(urlparse(url).path) for name, url in pairs}
