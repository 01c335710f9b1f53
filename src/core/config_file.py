"""The file of `core run --config run.yaml`: parameters, options of steps, stack; every error with its line."""

from __future__ import annotations

from typing import NamedTuple

from core.errors import ConfigurationError
from core.model.nothing import NOTHING
from core.model.spec import MAX_WORKERS, ImageSettings, Resources, Retry
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_ALIASES = 50
MAX_NODES = 100_000
"""Values that a file may hold once its aliases are written out."""


class RunConfig(NamedTuple):
    """What a run's configuration file says; what it leaves out stays as the code has it."""

    parameters: Mapping[str, Any] = NOTHING
    """Arguments of the pipeline, as plain data."""
    steps: Mapping[str, Mapping[str, Any]] = NOTHING
    """Node id to options, ready for `StepOptions`."""
    stack: str = ""
    """Name of the stack; empty for the active one."""
    no_cache: bool | tuple[str, ...] = False
    """True: reuse nothing; names: run these steps in any case."""
    fail_fast: bool = False
    """Whether the first failure ends the run."""
    tags: tuple[str, ...] = ()
    """Words to find the run by."""
    workers: int | None = None
    """Processes that run steps side by side, 0 for one a core; None as the pipeline or the settings say."""
    places: Mapping[str, str] = NOTHING
    """`parameter 'x'` or `step 'x'` to the `file:line` where it stands."""


class _Map(dict[str, "Any"]):
    """A mapping that knows the line of each key."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


def read_run_config(path: str) -> RunConfig:
    """Read `path`; raises `ConfigurationError` with file, line, and the closest right key."""
    return _Reader(path).run_config()


class _Reader:
    """One file on its way from text to `RunConfig`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.count = 0

    def run_config(self) -> RunConfig:
        data = self._load()
        readers: dict[str, Callable[[Any, int], Any]] = {
            "parameters": self._mapping,
            "steps": self._steps,
            "stack": self._text,
            "no_cache": self._no_cache,
            "fail_fast": self._flag,
            "tags": self._texts,
            "workers": self._workers,
        }
        config = RunConfig(**self._each(data, readers, "key"))
        lines = {"parameter": getattr(config.parameters, "lines", {}), "step": getattr(data.get("steps"), "lines", {})}
        return config._replace(
            places={f"{noun} {name!r}": f"{self.path}:{line}" for noun in lines for name, line in lines[noun].items()}
        )

    def wrong(self, line: int, message: str, hint: str = "mend the line") -> ConfigurationError:
        return ConfigurationError(f"{self.path}:{line}: {message}", hint)

    # From text to plain data -----------------------------------------------------------------------------------------

    def _load(self) -> _Map:
        import yaml  # start-up time: only a run with a configuration file needs it

        text = self._text_of_file()
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            self._measure(yaml.parse(text, Loader=loader), yaml)
            node = yaml.compose(text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self.wrong(
                mark.line + 1 if mark else 1, f"not valid YAML: {error.problem or error.context}"
            ) from error
        except yaml.YAMLError as error:
            raise self.wrong(1, f"not valid YAML: {str(error).splitlines()[0]}") from error
        if node is None:
            return _Map()
        data = self._plain(node, 0, yaml)
        if not isinstance(data, _Map):
            raise self.wrong(
                1, f"the file holds {_kind(data)}; expected keys and values", "write for example `parameters:`"
            )
        return data

    def _text_of_file(self) -> str:
        try:
            with open(self.path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ConfigurationError(
                f"{self.path!r} cannot be read: {error.strerror}", "give --config the path of a YAML file"
            ) from error
        if len(data) > MAX_BYTES:
            raise self.wrong(
                1,
                f"the file is larger than {MAX_BYTES:,} bytes",
                "keep data out of the configuration and pass its path",
            )
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.wrong(
                data.count(b"\n", 0, error.start) + 1, "the file is not UTF-8", "save it as UTF-8"
            ) from error

    def _measure(self, events: Any, yaml: Any) -> None:
        """Refuse a bomb from the stream of events, before anything is built."""
        depth = aliases = 0
        for event in events:
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            aliases += isinstance(event, yaml.AliasEvent)
            line = event.start_mark.line + 1
            if depth > MAX_DEPTH:
                raise self.wrong(line, f"values are nested deeper than {MAX_DEPTH} levels", "flatten the file")
            if aliases > MAX_ALIASES:
                raise self.wrong(line, f"more than {MAX_ALIASES} aliases", "write the values out")

    def _plain(self, node: Any, depth: int, yaml: Any) -> Any:
        line = node.start_mark.line + 1
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_NODES:
            raise self.wrong(line, "aliases make the file grow without bound", "write the values out")
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, depth + 1, yaml) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._plain_mapping(node, depth, yaml)
        return self._scalar(node, line, yaml)

    def _plain_mapping(self, node: Any, depth: int, yaml: Any) -> _Map:
        result = _Map()
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.wrong(line, "a key must be a text")
            key = str(key_node.value)
            if key in result:
                raise self.wrong(
                    line, f"key {key!r} stands here again; first in line {result.lines[key]}", "remove one of them"
                )
            result[key] = self._plain(value_node, depth + 1, yaml)
            result.lines[key] = line
        return result

    def _scalar(self, node: Any, line: int, yaml: Any) -> Any:
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        if tag in {"str", "timestamp"}:  # a date stays text until the parameter's annotation asks for one
            return node.value
        if tag not in {"null", "bool", "int", "float"}:
            raise self.wrong(
                line,
                f"tag {node.tag!r} is not supported",
                "use plain texts, numbers, true, false, null, lists and mappings",
            )
        try:
            return yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, KeyError) as error:
            raise self.wrong(line, f"{node.value[:40]!r} is not a {tag}") from error

    # From plain data to values ---------------------------------------------------------------------------------------

    def _each(
        self, data: _Map, readers: Mapping[str, Callable[[Any, int], Any]], what: str, whose: str = ""
    ) -> dict[str, Any]:
        """Read every key with its reader; a key may be written with `-`, and null leaves it as it is."""
        result = {}
        for key, value in data.items():
            line, name = data.lines[key], key.replace("-", "_")
            if name not in readers:
                raise self.wrong(
                    line, f"unknown {what} {key!r}{whose}{closest(name, readers)}", f"known are {', '.join(readers)}"
                )
            if value is not None:
                result[name] = readers[name](value, line)
        return result

    def _steps(self, value: Any, line: int) -> dict[str, dict[str, Any]]:
        steps = self._mapping(value, line)
        return {name: self._step(name, options, steps.lines[name]) for name, options in steps.items()}

    def _step(self, name: str, value: Any, line: int) -> dict[str, Any]:
        readers: dict[str, Callable[[Any, int], Any]] = {
            "cache": self._flag,
            "cache_expires": self._positive,
            "retry": self._retry,
            "timeout": self._positive,
            "resources": self._resources,
            "image": self._image,
            "runs_on": self._text,
            "tags": self._texts,
            "environment": self._text_mapping,
            "materializers": self._text_mapping,
            "map_limit": self._whole,
        }
        return {} if value is None else self._each(self._mapping(value, line), readers, "option", f" of step {name!r}")

    def _retry(self, value: Any, line: int) -> Retry:
        """`retry: 3` or `retry: {attempts: 3, delay: 1}`."""
        if not isinstance(value, dict):
            return Retry(attempts=self._whole(value, line))
        readers: dict[str, Callable[[Any, int], Any]] = {
            "attempts": self._whole,
            "delay": self._number,
            "backoff": self._number,
            "jitter": self._share,
            "infrastructure": self._natural,
        }
        return Retry(**self._each(self._mapping(value, line), readers, "key", " of retry"))

    def _resources(self, value: Any, line: int) -> Resources:
        texts = dict.fromkeys(("memory", "accelerators", "disk"), self._text)
        return Resources(
            **self._each(self._mapping(value, line), {"cpus": self._positive, **texts}, "key", " of resources")
        )

    def _image(self, value: Any, line: int) -> ImageSettings:
        readers: dict[str, Callable[[Any, int], Any]] = {
            "base_image": self._text,
            "requirements": self._texts,
            "apt_packages": self._texts,
            "environment": self._text_mapping,
        }
        return ImageSettings(**self._each(self._mapping(value, line), readers, "key", " of image"))

    def _mapping(self, value: Any, line: int) -> _Map:
        if not isinstance(value, _Map):
            raise self.wrong(line, f"expected keys and values, not {_kind(value)}")
        return value

    def _text(self, value: Any, line: int) -> str:
        if not isinstance(value, str) or not value:
            raise self.wrong(line, f"expected a text, not {_kind(value)}", "put quotes around it")
        return value

    def _texts(self, value: Any, line: int) -> tuple[str, ...]:
        return tuple(self._text(item, line) for item in (value if isinstance(value, list) else [value]))

    def _text_mapping(self, value: Any, line: int) -> dict[str, str]:
        mapping = self._mapping(value, line)
        return {key: self._text(item, mapping.lines[key]) for key, item in mapping.items()}

    def _flag(self, value: Any, line: int) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(line, f"expected true or false, not {_kind(value)}")
        return value

    def _number(self, value: Any, line: int) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
            raise self.wrong(line, f"expected a number from 0 on, not {_kind(value)}")
        return float(value)

    def _positive(self, value: Any, line: int) -> float:
        number = self._number(value, line)
        if not number:
            raise self.wrong(line, "expected a number above 0, not 0")
        return number

    def _share(self, value: Any, line: int) -> float:
        number = self._number(value, line)
        if number > 1:
            raise self.wrong(line, f"expected a number from 0 to 1, not {_kind(value)}")
        return number

    def _whole(self, value: Any, line: int) -> int:
        return self._natural(value, line, first=1)

    def _natural(self, value: Any, line: int, first: int = 0) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < first:
            raise self.wrong(line, f"expected a whole number from {first} on, not {_kind(value)}")
        return value

    def _workers(self, value: Any, line: int) -> int:
        if value == "auto":
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_WORKERS:
            raise self.wrong(
                line, f"expected a whole number from 0 to {MAX_WORKERS}, or auto for one a core, not {_kind(value)}"
            )
        return value

    def _no_cache(self, value: Any, line: int) -> bool | tuple[str, ...]:
        return value if isinstance(value, bool) else self._texts(value, line)


def _kind(value: object) -> str:
    """The value itself when it is small, else what it is: for error messages."""
    if isinstance(value, dict):
        return "keys and values"
    return "a list" if isinstance(value, list) else repr(value)[:60]
