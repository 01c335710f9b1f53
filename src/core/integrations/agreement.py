"""Whether packages are what other packages want: each requirement, followed to its end, beside what was found."""

from __future__ import annotations

from core.model.value import Value
from core.plugins.discover import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.integrations.environment import Package

OURS = "core-plugin-"


class Line(Value):
    """One requirement of one package."""

    package: str
    version: str
    """Of the package that wants."""
    wants: str
    """The requirement as it is written, without its marker."""
    name: str
    """The package that it is about."""
    found: str
    """Version that is there; empty when there is none."""
    ok: bool

    def told(self, found: str = "is installed") -> str:
        """`s3fs 1.0 wants fsspec==1.0; fsspec 0.9 is installed`."""
        what = f"{self.name} {self.found} {found}" if self.found else f"there is no {self.name}"
        return f"{self.package} {self.version} wants {self.wants}; {what}"


def is_ours(name: str) -> bool:
    """Whether `name` is core or one of its plugins: never to be taken from an index by accident."""
    return name == "core" or name.startswith(OURS)


def agreement(packages: Mapping[str, Package], roots: Iterable[str] | None = None) -> list[Line]:
    """Every requirement of `roots` (by default of all packages) and of what they want in turn, extras included.

    Markers are read for this Python. A requirement that cannot be read is a line that is not `ok`.
    """
    todo = [(name, "") for name in (packages if roots is None else roots)]
    seen: set[tuple[str, str]] = set()
    lines: dict[Line, None] = {}
    while todo:
        here = todo.pop()
        if here in seen or here[0] not in packages:
            continue
        seen.add(here)
        for text in packages[here[0]].requires:
            line, extras = _line(packages, here, text)
            if line is not None:
                lines[line] = None
                todo += [(line.name, extra) for extra in ("", *extras)]
    return sorted(lines)


def _line(packages: Mapping[str, Package], here: tuple[str, str], text: str) -> tuple[Line | None, Iterable[str]]:
    """The line of one requirement string and the extras that it asks for; None where its marker does not hold."""
    from packaging.requirements import InvalidRequirement, Requirement  # start-up time: only who checks reads them
    from packaging.version import InvalidVersion  # start-up time: the same

    name, extra = here
    version = packages[name].version
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return Line(name, version, text, "", "", ok=False), ()
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
        return None, ()
    if extra and wanted.marker is None:
        return None, ()  # told with the package itself
    other = packages.get(canonical(wanted.name))
    try:
        fits = other is not None and wanted.specifier.contains(other.version, prereleases=True)
    except InvalidVersion:
        fits = False
    wanted.marker = None
    found = other.version if other else ""
    return Line(name, version, str(wanted), canonical(wanted.name), found, fits), sorted(wanted.extras)


def broken(packages: Mapping[str, Package]) -> set[Line]:
    """What does not agree among all packages."""
    return {line for line in agreement(packages) if not line.ok}


def ours(packages: Mapping[str, Package]) -> list[str]:
    """Names of core and its plugins among `packages`."""
    return sorted(filter(is_ours, packages))
