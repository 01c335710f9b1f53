"""The environment that packages are installed into: where it lies, what is in it, whether it may be changed."""

from __future__ import annotations

import os
import sys
import sysconfig

from core.errors import ConfigurationError, NotAllowedError
from core.model.value import Value
from core.plugins.discover import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.metadata import Distribution


class Package(Value):
    """An installed distribution, or one that lies unpacked in a folder."""

    name: str
    """As package indexes compare it: lower case, with `-`."""
    version: str
    requires: tuple[str, ...]
    """Requirement strings as its metadata has them, those of extras included."""
    info: str
    """Its `.dist-info` folder."""


class Environment(Value):
    """A Python installation and its folders."""

    python: str
    """Path of the interpreter."""
    prefix: str
    folders: tuple[str, ...]
    """Where packages are installed: purelib and platlib, once where they are the same."""
    scripts: str
    path: tuple[str, ...]
    """Folders in which the interpreter looks for packages, in its order."""
    managed: str = ""
    """The file by which an operating system keeps this Python to itself (PEP 668); empty when there is none."""


def running() -> Environment:
    """The environment of this process."""
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    own = sys.prefix == sys.base_prefix and os.path.isfile(marker)
    paths = sysconfig.get_paths()
    folders = tuple(dict.fromkeys((paths["purelib"], paths["platlib"])))
    path = tuple(dict.fromkeys([*folders, *filter(os.path.isdir, sys.path)]))
    return Environment(sys.executable, sys.prefix, folders, paths["scripts"], path, marker if own else "")


def packages(path: Sequence[str]) -> dict[str, Package]:
    """Distributions in the folders of `path` by name; of two with one name the first counts, as for imports."""
    from importlib.metadata import distributions  # start-up time: commands that read no metadata do without

    found: dict[str, Package] = {}
    for each in distributions(path=list(path)):
        name, version, requires = _told(each)
        if name and version:  # what a broken installation leaves behind has neither
            info = str(getattr(each, "_path", ""))
            found.setdefault(canonical(name), Package(canonical(name), version, tuple(requires), info))
    return found


def _told(distribution: Distribution) -> tuple[str, str, Sequence[str]]:
    """Name, version and requirements. The long description below them is not taken apart: that takes longest."""
    from email.parser import HeaderParser  # start-up time: the same

    text = distribution.read_text("METADATA")
    if not text:  # an egg has them in other files
        metadata = distribution.metadata
        return metadata["Name"], metadata["Version"], distribution.requires or ()
    head = HeaderParser().parsestr(text.partition("\n\n")[0])
    return head["Name"], head["Version"], head.get_all("Requires-Dist", [])


def changeable(environment: Environment) -> None:
    """Raise unless packages can be installed there: the system's own Python, folders that cannot be written."""
    if environment.managed:
        raise NotAllowedError(
            f"the Python in {environment.prefix!r} belongs to the operating system ({environment.managed!r} says so)",
            "make an environment of your own, and install core there: `python3 -m venv .venv`",
        )
    import tempfile  # start-up time: only who changes an environment asks

    for folder in (*environment.folders, environment.scripts):
        try:
            tempfile.TemporaryFile(dir=folder).close()  # trying tells more than asking: read-only mounts, quotas
        except OSError as error:
            raise NotAllowedError(
                f"{folder!r} cannot be written: {error.strerror}",
                "make an environment of your own, and install core there: `python3 -m venv .venv`",
            ) from error


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """`(name, version before, version after)` of all that is not the same; empty where it is not there."""
    names = sorted({*before, *after})
    rows = [(name, before.get(name, ""), after.get(name, "")) for name in names]
    return [row for row in rows if row[1] != row[2]]


def versions(found: Mapping[str, Package]) -> dict[str, str]:
    """Name to version."""
    return {name: each.version for name, each in found.items()}


def requirement(text: str) -> tuple[str, str]:
    """Name and exact version of a pinned requirement `NAME==VERSION`; raises `ConfigurationError` for any other."""
    name, equals, version = text.partition("==")
    if not equals or not version or any(c in text for c in "@*;[ ,"):
        raise ConfigurationError(
            f"{text!r} is no pinned requirement", "an integration names its packages as NAME==VERSION"
        )
    return canonical(name), version
