"""What pip installs into an environment: a list, a file, or what the project itself says, found and said aloud."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib

from core.errors import ConfigurationError
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from core.model.spec import ImageSettings

_LOCAL = re.compile(r"(-e|--editable)\b|\.{0,2}/|\.$|file:|[^@#]*@\s*file:")
DEEPEST = 5
"""Files of requirements within each other."""
_INCLUDE = re.compile(r"(?:-r|--requirement)[\s=]*(\S+)")
_CONSTRAINTS = re.compile(r"(?:-c|--constraint)\b.*")


class Requirements(Value):
    """Text for pip, and where it comes from."""

    text: str
    """Lines of a requirements file; empty for none."""
    origin: str
    """For people: `uv.lock`, `the list in the image settings`."""


def find_requirements(settings: ImageSettings, root: str) -> Requirements:
    """What `settings` ask for; where they say nothing, what the project at `root` does.

    Raises `ConfigurationError` for a file that can't be read, and for requirements that are folders of this machine.
    """
    wanted = settings.requirements
    if isinstance(wanted, str):
        path = os.path.join(root, wanted)
        if os.path.basename(path) == "uv.lock":
            return _locked(os.path.dirname(path))
        if os.path.basename(path) == "pyproject.toml":
            return _declared(os.path.dirname(path))
        return Requirements("\n".join(_lines(path)), wanted)
    if wanted is not None:
        return Requirements("\n".join(_checked(wanted, "the image settings")), "the image settings")
    if os.path.exists(os.path.join(root, "uv.lock")):
        return _locked(root)
    if os.path.exists(os.path.join(root, "pyproject.toml")):
        found = _declared(root)
        if found.text or not os.path.exists(os.path.join(root, "requirements.txt")):
            return found
    if os.path.exists(os.path.join(root, "requirements.txt")):
        return Requirements("\n".join(_lines(os.path.join(root, "requirements.txt"))), "requirements.txt")
    return Requirements("", "nothing")


def _locked(root: str) -> Requirements:
    """The versions of `uv.lock`, as uv exports them; without uv what pyproject.toml declares."""
    uv = shutil.which("uv") or shutil.which("uv", path=os.path.dirname(sys.executable))
    if uv is None:
        found = _declared(root)
        return found._replace(origin=f"{found.origin}, not uv.lock: uv is not installed here")
    command = [
        uv,
        "export",
        "--frozen",
        "--no-dev",
        "--no-emit-workspace",
        "--no-header",
        "--no-annotate",
        "--no-hashes",
    ]
    done = subprocess.run(  # noqa: S603 - uv of the person's own
        [*command, "--quiet"], cwd=root, check=False, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        raise ConfigurationError(
            f"uv can't read {os.path.join(root, 'uv.lock')!r}: {' '.join(done.stderr.split())[-300:]}",
            "run `uv lock`, or give requirements: ImageSettings(requirements=[...])",
        )
    return Requirements("\n".join(_checked(done.stdout.splitlines(), "uv.lock")), "uv.lock")


def _declared(root: str) -> Requirements:
    path = os.path.join(root, "pyproject.toml")
    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path!r} can't be read: {error.strerror}", "name another file") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path!r} is no TOML: {error}", "mend the file") from error
    lines = [line for line in data.get("project", {}).get("dependencies", []) if isinstance(line, str)]
    return Requirements("\n".join(_checked(lines, path)), "pyproject.toml")


def _lines(path: str, depth: int = 0) -> Iterator[str]:
    """The lines of a requirements file, those that it includes written out."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the requirements {path!r} can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}",
            "give a path relative to the project, or a list of requirements",
        ) from error
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    for line in _checked(lines, path, file=True):
        included = _INCLUDE.fullmatch(line)
        if not included:
            yield line
        elif depth < DEEPEST:
            yield from _lines(os.path.join(os.path.dirname(path), included[1]), depth + 1)
        else:
            raise ConfigurationError(
                f"the requirements {path!r} are included {depth} files deep, and include {included[1]!r}",
                "see whether they include each other, or write them into fewer files",
            )


def _checked(lines: Iterable[str], where: str, *, file: bool = False) -> Iterator[str]:
    """Lines that mean something, in the image too; only those of a `file` may include another."""
    for line in lines:
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if _LOCAL.match(bare):
            raise ConfigurationError(
                f"requirement {bare!r} of {where} is a folder or file of this machine: the image can't have it",
                "the project's own code travels by itself; publish others, or build wheels",
            )
        if _CONSTRAINTS.match(bare):
            raise ConfigurationError(
                f"requirement {bare!r} of {where} names constraints, which images do not know",
                "write the versions into the requirements (`pip freeze`, `uv pip compile -c`)",
            )
        if not file and _INCLUDE.fullmatch(bare):
            raise ConfigurationError(
                f"requirement {bare!r} of {where} is a file: the image has none but this list",
                'give its path in place of the list: requirements="requirements.txt"',
            )
        if bare and not _is_core(bare):
            yield bare


def _is_core(line: str) -> bool:
    """Whether it is core itself, or a plugin of it: they travel as they are installed here."""
    return re.match(r"(?:core|core[-_.]plugin[-_.]\w+)\s*(?:\[|$|[=<>!~;@ ])", line, re.IGNORECASE) is not None
