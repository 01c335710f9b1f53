"""Reads YAML that people wrote: safely, with the line of every key, and every error with its line."""

from __future__ import annotations

from core.errors import ConfigurationError
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


class Map(dict[str, "Any"]):
    """A mapping that knows the line of each key."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Reader:
    """Takes plain data apart; says `file:line` of what is wrong in it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def wrong(self, line: int, message: str, hint: str = "mend the line") -> ConfigurationError:
        """The error for what stands in `line`."""
        return ConfigurationError(f"{self.path}:{line}: {message}", hint)

    def each(
        self, data: Map, readers: Mapping[str, Callable[[Any, int], Any]], what: str, whose: str = ""
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

    def mapping(self, value: Any, line: int) -> Map:
        """`value`, if it holds keys and values."""
        if not isinstance(value, Map):
            raise self.wrong(line, f"expected keys and values, not {kind_of(value)}")
        return value

    def text(self, value: Any, line: int) -> str:
        """`value`, if it is a text that says something."""
        if not isinstance(value, str) or not value:
            raise self.wrong(line, f"expected a text, not {kind_of(value)}", "put quotes around it")
        return value

    def texts(self, value: Any, line: int) -> tuple[str, ...]:
        """One text or a list of them."""
        return tuple(self.text(item, line) for item in (value if isinstance(value, list) else [value]))


class YamlFile(Reader):
    """One file on its way from text to plain data."""

    def __init__(self, path: str, hint: str, example: str) -> None:
        """`hint` says what to do when `path` can't be read, `example` shows a key that it may hold."""
        super().__init__(path)
        self._hint = hint
        self._example = example
        self._count = 0

    def read(self) -> Map:
        """What the file holds, empty for an empty file; raises `ConfigurationError` with file and line."""
        import yaml  # start-up time: few commands read a file

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
            return Map()
        data = self._plain(node, 0, yaml)
        if not isinstance(data, Map):
            raise self.wrong(
                1, f"the file holds {kind_of(data)}; expected keys and values", f"write for example `{self._example}`"
            )
        return data

    def _text_of_file(self) -> str:
        try:
            with open(self.path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ConfigurationError(f"{self.path!r} cannot be read: {error.strerror}", self._hint) from error
        if len(data) > MAX_BYTES:
            raise self.wrong(
                1,
                f"the file is larger than {MAX_BYTES:,} bytes",
                "keep data out of it, and write where they lie",
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
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            raise self.wrong(line, "aliases make the file grow without bound", "write the values out")
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, depth + 1, yaml) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._plain_mapping(node, depth, yaml)
        return self._scalar(node, line, yaml)

    def _plain_mapping(self, node: Any, depth: int, yaml: Any) -> Map:
        result = Map()
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


def kind_of(value: object) -> str:
    """The value itself when it is small, else what it is: for error messages."""
    if isinstance(value, dict):
        return "keys and values"
    return "a list" if isinstance(value, list) else repr(value)[:60]
