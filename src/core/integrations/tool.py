"""uv or pip, whichever is there: the few things that core asks of it, and its failures in words of our own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod

from core.errors import InfrastructureError, MissingDependencyError, NotFoundError
from core.model.value import Value
from core.plugins.discover import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from core.integrations.environment import Environment

_NOT_OURS = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_DRY_RUN", "PIP_REPORT")
"""Variables that would send packages elsewhere than into the environment."""
_UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL")
_NO_ANSWER = re.compile(
    r"failed to fetch|error sending request|dns error|network connectivity is disabled|network is unreachable"
    r"|connection refused|newconnectionerror|name resolution|max retries|connection broken|timed out",
    re.IGNORECASE,
)
_NOWHERE = re.compile(r"was not found in|no matching distribution|there (?:are|is) no versions? of", re.IGNORECASE)
_UNSOLVED = re.compile(r"no solution found|resolutionimpossible|conflicting dependencies", re.IGNORECASE)
_CHANGE = re.compile(r"^ [+~] ([A-Za-z0-9._-]+)(?:==(\S+)| @ \S*/[^-/]+-([^-/]+)-[^/]*\.whl)", re.MULTILINE)


class Unsolvable(Exception):
    """The requirements contradict each other; the text is the tool's own."""


class Sources(Value):
    """Where packages come from."""

    find_links: tuple[str, ...] = ()
    """Folders of wheels, beside the index."""
    no_index: bool = False

    def options(self) -> list[str]:
        """As uv and pip take them."""
        links = [word for folder in self.find_links for word in ("--find-links", folder)]
        return [*links, *(["--no-index"] if self.no_index else [])]


class Tool(ABC):
    """Installs into one environment. `lock` is a file descriptor that its processes keep open while they work."""

    name: str

    def __init__(self, program: Sequence[str], environment: Environment, sources: Sources, work: str) -> None:
        self._program = list(program)
        self._environment = environment
        self._sources = sources
        self.work = work
        self.lock = -1
        self.say: Callable[[str], None] = lambda _: None
        """Tells the person what goes on."""

    @abstractmethod
    def resolve(self, requirements: Sequence[str], constraints: Sequence[str]) -> dict[str, str]:
        """Name to version of what would be added or changed; raises `Unsolvable`."""

    @abstractmethod
    def unpack(self, requirements: Sequence[str], folder: str, *, deps: bool = False) -> None:
        """Fetch packages, build those that are no wheels, and unpack them into an empty folder."""

    @abstractmethod
    def install(self, pins: Sequence[str]) -> None:
        """Install what `unpack` has fetched, without the network."""

    @abstractmethod
    def uninstall(self, names: Sequence[str]) -> None:
        """Remove packages."""

    @abstractmethod
    def index(self) -> str:
        """The index that somebody configured for this tool; empty where it would ask the public one.

        One that is asked beside the public index does not count: either could have a name.
        """

    def _file(self, name: str, lines: Iterable[str]) -> str:
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        return path

    def _run(self, words: Sequence[str], what: str) -> str:
        """Both streams of the command; raises what `failure` makes of them when it fails."""
        passed = (self.lock,) if self.lock >= 0 else ()
        done = subprocess.run(  # noqa: S603 - words are our own
            [*self._program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            env=self._variables(),
            pass_fds=passed,
            check=False,
        )
        if done.returncode:
            raise failure(self.name, what, done.stdout)
        return done.stdout

    def _variables(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
        return {**kept, "NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


class Uv(Tool):
    """uv: what it fetched lies in its cache, which is all that an offline install needs."""

    name = "uv"

    def resolve(self, requirements: Sequence[str], constraints: Sequence[str]) -> dict[str, str]:
        """See `Tool`."""
        files = ["-r", self._file("wanted.txt", requirements), "-c", self._file("installed.txt", constraints)]
        told = self._pip("install", ["--dry-run", *files, *self._sources.options()], "resolve packages")
        return {canonical(name): version or of_wheel for name, version, of_wheel in _CHANGE.findall(told)}

    def unpack(self, requirements: Sequence[str], folder: str, *, deps: bool = False) -> None:
        """See `Tool`."""
        options = ["-r", self._file("pins.txt", requirements), "--target", folder, *self._sources.options()]
        self._pip("install", options if deps else ["--no-deps", *options], "fetch packages")

    def install(self, pins: Sequence[str]) -> None:
        """See `Tool`."""
        options = ["--offline", "--no-deps", "-r", self._file("pins.txt", pins), *self._sources.options()]
        self._pip("install", options, "install packages")

    def uninstall(self, names: Sequence[str]) -> None:
        """See `Tool`."""
        self._pip("uninstall", names, "uninstall packages")

    def index(self) -> str:
        """See `Tool`; pip's setting is handed on, for uv does not read it."""
        return next((os.environ[name] for name in _UV_INDEXES if os.environ.get(name)), "") or pip_index()

    def _pip(self, verb: str, words: Sequence[str], what: str) -> str:
        where = ["--python", self._environment.python, "--no-progress", "--color", "never"]
        return self._run(["pip", verb, *where, *words], what)

    def _variables(self) -> Mapping[str, str]:
        variables = dict(super()._variables())
        if variables.pop("UV_NO_CACHE", ""):  # what is fetched must lie somewhere until it is installed
            variables["UV_CACHE_DIR"] = os.path.join(self.work, "cache")
        if not any(variables.get(name) for name in _UV_INDEXES) and self.index():
            variables["UV_DEFAULT_INDEX"] = self.index()
        return variables


class Pip(Tool):
    """pip, as a module of the environment itself."""

    name = "pip"

    def resolve(self, requirements: Sequence[str], constraints: Sequence[str]) -> dict[str, str]:
        """See `Tool`."""
        import json  # start-up time: only pip's report is JSON

        report = os.path.join(self.work, "report.json")
        files = ["-r", self._file("wanted.txt", requirements), "-c", self._file("installed.txt", constraints)]
        options = ["--quiet", "--dry-run", "--report", report, *files, *self._sources.options()]
        self._run(["install", *options], "resolve packages")
        with open(report, encoding="utf-8") as file:
            found = [each["metadata"] for each in json.load(file)["install"]]
        return {canonical(each["name"]): each["version"] for each in found}

    def unpack(self, requirements: Sequence[str], folder: str, *, deps: bool = False) -> None:
        """See `Tool`."""
        options = ["--quiet", *([] if deps else ["--no-deps"])]
        pins = ["-r", self._file("pins.txt", requirements)]
        self._run(["wheel", *options, "-w", self._wheels, *pins, *self._sources.options()], "fetch packages")
        local = ["--no-index", "--find-links", self._wheels, "--no-compile", "--target", folder]
        self._run(["install", *options, *local, *pins], "unpack packages")

    def install(self, pins: Sequence[str]) -> None:
        """See `Tool`."""
        pins = [pin.split(" @ ")[0] if " @ " in pin else pin for pin in pins]
        files = ["-r", self._file("names.txt", pins), "--no-index", "--find-links", self._wheels]
        self._run(["install", "--quiet", "--no-deps", *files], "install packages")

    def uninstall(self, names: Sequence[str]) -> None:
        """See `Tool`."""
        self._run(["uninstall", "--quiet", "--yes", *names], "uninstall packages")

    def index(self) -> str:
        """See `Tool`."""
        return pip_index()

    @property
    def _wheels(self) -> str:
        return os.path.join(self.work, "wheels")


def choose(environment: Environment, sources: Sources, work: str, wanted: str = "") -> Tool:
    """The tool `wanted` (`uv`, `pip`), or uv where it is there, and pip else."""
    uv = shutil.which("uv", path=os.pathsep.join([environment.scripts, os.environ.get("PATH", "")]))
    pip = any(os.path.isdir(os.path.join(folder, "pip")) for folder in environment.path)
    if uv and wanted in {"", "uv"}:
        return Uv([uv], environment, sources, work)
    if pip and wanted in {"", "pip"}:
        return Pip([environment.python, "-m", "pip"], environment, sources, work)
    mend = {"uv": "`pip install uv`, or leave --uv out", "pip": "`python -m ensurepip`, or leave --pip out"}
    raise MissingDependencyError(
        f"there is no {wanted or 'uv and no pip'} for the environment {environment.prefix!r}",
        mend.get(wanted, "`python -m ensurepip` brings pip"),
    )


def pip_index() -> str:
    """The index of pip's settings: of the environment, of its files; empty when there is none."""
    from configparser import ConfigParser, Error  # start-up time: only who installs asks

    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    own = os.environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:  # how pip is told to read no file
        return ""
    user = os.path.join(os.path.expanduser(os.environ.get("XDG_CONFIG_HOME") or "~/.config"), "pip", "pip.conf")
    files = (own, os.path.join(sys.prefix, "pip.conf"), user, os.path.expanduser("~/.pip/pip.conf"), "/etc/pip.conf")
    for path in filter(None, files):
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(path, encoding="utf-8")
        except (Error, OSError, UnicodeDecodeError):
            continue  # pip itself will say so
        found = parser.get("global", "index-url", fallback="") or parser.get("install", "index-url", fallback="")
        if found:
            return found
    return ""


def failure(tool: str, what: str, told: str) -> Exception:
    """What a failed command means; the tool's own words stay in it."""
    words = "\n".join(f"  {tool}: {line.strip()}" for line in told.strip().splitlines()[-12:] if line.strip())
    if _NO_ANSWER.search(told):
        return InfrastructureError(
            f"{tool} could not {what}: the package index does not answer; nothing was changed\n{words}",
            "mend the network, or bring the wheels: `--find-links FOLDER --no-index`",
        )
    if _NOWHERE.search(told):
        return NotFoundError(
            f"{tool} could not {what}: something that is wanted is nowhere to be had; nothing was changed\n{words}",
            "name the folder that has it with --find-links, or the index in uv's or pip's own settings",
        )
    if _UNSOLVED.search(told):
        return Unsolvable(words)
    so_far = "" if what.endswith("install packages") else "; nothing was changed"
    return InfrastructureError(f"{tool} could not {what}{so_far}\n{words}", "mend that, and try again")
