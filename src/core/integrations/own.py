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

INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
"""Variables that configure an index of one's own."""
_BUILD = """
import importlib, os, sys
name, _, attribute = sys.argv[1].partition(":")
backend = importlib.import_module(name)
for part in filter(None, attribute.split(".")):
    backend = getattr(backend, part)
os.chdir(sys.argv[2])
backend.build_editable(sys.argv[3])
"""


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


def configured() -> str:
    """The variable or file that configures an index; empty when only the public one would be asked."""
    return next((name for name in INDEXES if os.environ.get(name)), "") or _pip_file()


def _pip_file() -> str:
    """Pip's configuration file that names an index."""
    from configparser import ConfigParser, Error  # start-up time: only where nothing else says where plugins are

    folder = os.path.expanduser(os.environ.get("XDG_CONFIG_HOME") or "~/.config")
    user = (os.path.join(folder, "pip", "pip.conf"), os.path.expanduser("~/.pip/pip.conf"))
    for path in (os.path.join(sys.prefix, "pip.conf"), *user, "/etc/pip.conf"):
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(path, encoding="utf-8")
        except (Error, OSError, UnicodeDecodeError):
            continue
        if any(parser.has_option("global", name) for name in ("index-url", "extra-index-url")):
            return path
    return ""


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
    if configured():
        return ""
    raise NotFoundError(
        f"{name} {version} is in no folder that core was told of, and the public index is not asked for it",
        "name a folder of wheels with --find-links (`make dist` makes one), or configure your own index: "
        "UV_DEFAULT_INDEX, PIP_INDEX_URL",
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
    import subprocess  # start-up time: only who installs from a checkout

    system = _toml(project).get("build-system", {})
    backend, folder = system.get("build-backend", "hatchling.build"), os.path.join(tool.work, "backend")
    if not os.path.isdir(folder):
        tool.unpack(system.get("requires", ["hatchling"]), folder, deps=True)
    wheels = os.path.join(tool.work, "own")
    os.makedirs(wheels, exist_ok=True)
    before = set(os.listdir(wheels))
    command = [sys.executable, "-c", _BUILD, backend, project, wheels]
    done = subprocess.run(  # noqa: S603 - words are our own
        command,
        env={**os.environ, "PYTHONPATH": folder},
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
    )
    made = sorted({*os.listdir(wheels)} - before)
    if done.returncode or not made:
        told = "\n".join(f"  {line}" for line in done.stderr.strip().splitlines()[-5:])
        raise InfrastructureError(f"{project!r} cannot be built\n{told}", "mend it, and try again")
    return os.path.join(wheels, made[-1])


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
