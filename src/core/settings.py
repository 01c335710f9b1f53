"""Settings: command line, `CORE_*` environment, `[tool.core]` of pyproject.toml, the user's file; strongest first."""

from __future__ import annotations

import os
import sys

from core.errors import ConfigurationError
from core.model.spec import MAX_WORKERS
from core.model.value import Value
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

FOLDER = ".core"
"""Name of the folder in which a project that ran `core init` keeps its own state."""
DEFAULT, PROJECT = "default", "project folder"
"""Where a value comes from that nobody set: here, and of the home where there is such a folder."""

STACKS = ("stacks", "components")
"""Tables of `[tool.core]` that are no settings: `core.stack` reads them."""


class Settings(Value):
    """What a person may set. Each field is also the name in a file and, as `CORE_<NAME>`, in the environment."""

    home: str = ""
    """Folder of all state; by default the nearest `.core/` at or above the working one, else the user's data folder."""
    project: str = "default"
    """Project that new runs belong to."""
    stack: str = ""
    """Stack to use instead of the active one; empty for the active one."""
    display: str = "auto"
    """How a run shows itself: `auto`, `rich`, `plain` or `none`."""
    durability: str = "process"
    """What a recorded fact survives: the death of any `process`, or a loss of `power` too."""
    inline_limit: int = 8192
    """Bytes up to which an artifact lies in the tracking store instead of the artifact store."""
    cache: bool = True
    """Whether earlier results may be reused at all."""
    workers: int = 1
    """Processes that run steps side by side; 1 runs them one by one in the driver's own, 0 or `auto`: one a core."""
    heartbeat: float = 10.0
    """Seconds between two signs of life of a run; its owner reads lost after three of them."""
    grace: float = 10.0
    """Seconds that a step has to end after it was told to, before its process is killed."""
    log_limit: int = 64 << 20
    """Bytes kept of what one attempt prints: the first half and the newest, nothing between; 0 keeps no logs."""
    plugins: tuple[str, ...] = ()
    """One-file plugins: names of modules, or paths of Python files (in pyproject.toml relative to it)."""


CHOICES = {"display": ("auto", "rich", "plain", "none"), "durability": ("process", "power")}
_DEFAULTS = Settings()
_NAMES = Settings._fields
_SECONDS = {"heartbeat": (0.05, 600.0), "grace": (0.0, 86400.0)}
"""Smallest and largest value of the settings that are seconds."""
_TIMES = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def resolve(overrides: Mapping[str, str] | None = None) -> Settings:
    """The settings that hold here and now; `overrides` are the strongest, as text.

    Raises `ConfigurationError` with file, line and the closest right key. Reads at most one pyproject.toml and the
    user's file.
    """
    values: dict[str, Any] = {name: value for name, value, _ in _found(overrides or {})}
    return Settings(**values)


def origins(overrides: Mapping[str, str] | None = None) -> list[tuple[str, Any, str]]:
    """`(name, value, where)` of every setting: `CORE_HOME`, `pyproject.toml:12`, `command line` or `default`."""
    found = {name: (value, where) for name, value, where in _found(overrides or {})}
    return [(name, *found.get(name, (getattr(_DEFAULTS, name), DEFAULT))) for name in _NAMES]


def config_file() -> str:
    """Path of the user's file, whether it exists or not."""
    return os.path.join(_user_folder("XDG_CONFIG_HOME", ".config", "APPDATA"), "core", "config.toml")


def foreign_folder() -> str:
    """The nearest `.core/` that is passed over because it belongs to another user; empty when there is none."""
    return next((path for path in _project_folders() if not _own(path)), "")


def passed_over(file: str) -> tuple[str, str]:
    """The `.core/` of the project that `file` belongs to, and the home that counts instead; empty if they are one.

    What was typed on purpose is left alone: a home that the environment or a file sets.
    """
    home, where = next((value, where) for name, value, where in origins() if name == "home")
    folders = _folders(os.path.dirname(os.path.abspath(file)))
    near = next((path for path in _project_folders(folders) if _own(path)), "")
    if not near or where not in {PROJECT, DEFAULT} or os.path.realpath(near) == os.path.realpath(home):
        return "", ""
    return near, home


def _found(overrides: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Weakest first, so that a dict keeps the strongest; `home` always comes."""
    yield "home", *_default_home()
    yield from _from_file(config_file(), ())
    yield from _from_file(upward("pyproject.toml"), ("tool", "core"))
    environment = os.environ
    for name in _NAMES:
        variable = f"CORE_{name.upper()}"
        if environment.get(variable):
            yield name, _parse(name, environment[variable], variable), variable
    for name, text in overrides.items():
        _known(name, "command line")
        yield name, _parse(name, text, "command line"), "command line"


def _default_home() -> tuple[str, str]:
    for path in _project_folders():
        if _own(path):
            return path, PROJECT
    return os.path.join(_user_folder("XDG_DATA_HOME", os.path.join(".local", "share"), "LOCALAPPDATA"), "core"), DEFAULT


def _project_folders(folders: Iterator[str] | None = None) -> Iterator[str]:
    for folder in folders or _folders():
        path = os.path.join(folder, FOLDER)
        if os.path.isdir(path):
            yield path


def _own(path: str) -> bool:
    """Whether the folder is this user's: what others plant above the working folder must not catch runs."""
    if sys.platform == "win32":
        return True
    user = os.getuid()
    return user == 0 or os.stat(path).st_uid in {user, 0}


def _folders(folder: str = "") -> Iterator[str]:
    """A folder (by default the working one) and those above it."""
    try:
        folder = folder or os.getcwd()
    except FileNotFoundError:  # the working folder was removed under us
        return
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


def upward(name: str) -> str:
    """Path of the nearest file `name` at or above the working folder; empty when there is none."""
    paths = (os.path.join(folder, name) for folder in _folders())
    return next((path for path in paths if os.path.isfile(path)), "")


def _user_folder(variable: str, below_home: str, windows: str) -> str:
    """A per-user folder by the platform's custom; a relative XDG path does not count, as its specification says."""
    if sys.platform == "win32":
        return os.environ.get(windows) or os.path.expanduser("~")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support")
    folder = os.environ.get(variable, "")
    return folder if os.path.isabs(folder) else os.path.join(os.path.expanduser("~"), below_home)


def _from_file(path: str, table: tuple[str, ...]) -> Iterator[tuple[str, Any, str]]:
    """What `table` of a TOML file sets, with `file:line`; nothing when there is no file or no such table."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"{path!r} cannot be read: {error.strerror}", "make the file readable") from error
    if table and b"tool.core" not in data and b"[tool]" not in data:  # spares most projects the import of tomllib
        return
    for key, value, line in _toml_items(path, data, table):
        if table and key in STACKS:
            continue
        where = f"{os.path.basename(path)}:{line}" if line else os.path.basename(path)
        name = _known(key.replace("-", "_"), f"{path}:{line}", shown=key)
        yield name, _check(name, value, f"{path}:{line}", os.path.dirname(path)), where


def _toml_items(path: str, data: bytes, table: tuple[str, ...]) -> Iterator[tuple[str, Any, int]]:
    import tomllib  # start-up time: only where a file has something to say

    try:
        text = data.decode()
        content: Any = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path!r} is not valid TOML: {error}", "mend the file") from error
    for part in table:
        content = content.get(part, {}) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{'.'.join(table)!r} in {path!r} is {content!r}; expected a table",
            "write [tool.core] and one setting a line",
        )
    for key, value in content.items():
        yield key, value, line_of(text, ".".join(table), key)


def line_of(text: str, table: str, key: str = "\n") -> int:
    """Line of `key` in `[table]`; that of the table's head, or 0, where it is written in another way, or not given."""
    inside, head = not table, 0
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            inside = bare.split("#")[0].strip(" []") == table
            head = number if inside else head
        elif inside and bare.split("=")[0].strip(" \"'") == key:
            return number
    return head


def _known(name: str, where: str, shown: str = "") -> str:
    if name in _NAMES:
        return name
    raise ConfigurationError(
        f"unknown setting {shown or name!r} in {where}{closest(name, _NAMES)}",
        f"settings are {', '.join(_NAMES)}",
    )


def _check(name: str, value: Any, where: str, folder: str) -> Any:
    """A value from a file: text is read as in the environment, other types must be the field's own."""
    default = getattr(_DEFAULTS, name)
    if isinstance(value, str) and not isinstance(default, tuple):
        return _parse(name, value, where, folder)
    if isinstance(default, tuple):
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return tuple(_plugin(item, folder) for item in items)
        raise _wrong(name, value, where, "a list of texts")
    number = float(value) if isinstance(default, float) and type(value) is int else value
    if type(number) is not type(default):
        raise _wrong(name, value, where, expected(name))
    return _bounded(name, number, value, where)


def _parse(name: str, text: str, where: str, folder: str = "") -> Any:
    """The value that `text` stands for; a relative home is taken from `folder`, or else from the working folder."""
    default = getattr(_DEFAULTS, name)
    if isinstance(default, bool):
        if text.lower() not in _WORDS:
            raise _wrong(name, text, where, expected(name))
        return _WORDS[text.lower()]
    if isinstance(default, int | float):
        return _bounded(name, _number(name, text, where), text, where)
    if isinstance(default, tuple):
        return tuple(_plugin(item.strip(), os.getcwd()) for item in text.split(",") if item.strip())
    if name == "home":
        return os.path.abspath(os.path.join(folder, os.path.expanduser(text)))
    if name in CHOICES and text not in CHOICES[name]:
        raise _wrong(name, text, where, expected(name) + closest(text, CHOICES[name]))
    return text


def _plugin(item: str, folder: str) -> str:
    """A module's name as it is, a file's path made absolute."""
    if item.endswith(".py") or os.sep in item:
        return os.path.normpath(os.path.join(folder, os.path.expanduser(item)))
    return item


def workers(text: str, where: str = "command line") -> int:
    """The number of workers that `text` stands for; raises `ConfigurationError` naming `where`."""
    return int(_parse("workers", text, where))


def _number(name: str, text: str, where: str) -> float:
    """What a count, a size or a time stands for."""
    text = text.strip()
    if name == "workers":
        if text.lower() == "auto":
            return 0
        units: Mapping[str, float] = {"": 1}
    else:
        units = _TIMES if name in _SECONDS else _UNITS
    bare = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    factor, number = units.get(text[len(bare) :].lower()), bare.strip()
    whole = number.replace(".", "", 1) if name in _SECONDS else number
    if factor is None or not (whole.isascii() and whole.isdecimal() and len(whole) < 20):
        raise _wrong(name, text, where, expected(name))
    return float(number) * factor if name in _SECONDS else int(number) * factor


def _bounded(name: str, value: Any, shown: object, where: str) -> Any:
    """`value`, if it is a number that `name` may have; NaN is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    low, high = _SECONDS.get(name, (0, MAX_WORKERS if name == "workers" else float("inf")))
    if not low <= value <= high:
        raise _wrong(name, shown, where, expected(name))
    return value


def expected(name: str) -> str:
    """What the setting `name` may be, for error messages."""
    default = getattr(_DEFAULTS, name)
    if name in CHOICES:
        return f"one of {', '.join(CHOICES[name])}"
    if name in _SECONDS:
        return "seconds, such as 10 or 30s, from {:g} to {:g}".format(*_SECONDS[name])
    if name == "workers":
        return f"a whole number from 0 to {MAX_WORKERS}, or 'auto' for one a core"
    if isinstance(default, bool):
        return "true or false"
    return "a whole number from 0 on, a size such as 64KiB included" if isinstance(default, int) else "a text"


def _wrong(name: str, value: object, where: str, expected: str) -> ConfigurationError:
    return ConfigurationError(
        f"setting {name!r} is {value!r} in {where}; expected {expected}",
        "`core config show --origin` tells where each setting comes from",
    )
