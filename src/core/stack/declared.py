"""Components, stacks and connectors that a file declares: `core.yaml`, pyproject.toml, what `core stack export` wrote.

version: 1
components:
artifact_store:
bucket: {flavor: s3, settings: {path: "s3://bucket"}, connector: cloud}
stacks:
cloud: {orchestrator: default, artifact_store: bucket}
service_connectors:
cloud: {type: aws, method: secret-key, settings: {region: eu-west-1}, secrets: [aws_secret_access_key]}
"""

from __future__ import annotations

import os

from core.errors import UsageError
from core.model.nothing import NOTHING
from core.model.value import Value
from core.ports.catalog import check_entry_name
from core.stack.entries import DEFAULT, NEEDED, TYPES, ComponentEntry, StackEntry, said
from core.yaml_file import Map, Reader, YamlFile, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Readers = dict[str, Callable[[Any, int], Any]]

VERSION = 1
"""Version of the form that this file reads and writes."""


class ConnectorEntry(Value):
    """A service connector without its secrets."""

    name: str
    type: str
    method: str
    settings: Mapping[str, Any] = NOTHING
    secrets: tuple[str, ...] = ()
    """Names of the settings that are secret: whoever imports it gives them."""
    resource_type: str = ""
    resource_id: str = ""
    origin: str = ""
    """`file:line` where it is declared."""

    def command(self) -> str:
        """What a person types to register it; quoted, because the file may be a stranger's."""
        from shlex import join  # start-up time: most files have no connectors

        words = ["core", "service-connector", "register", self.name, "--type", self.type]
        words += ["--auth-method", self.method]
        words += [f"--{name}={value}" for name, value in self.settings.items()]
        words += [f"--{name}=@FILE" for name in self.secrets]
        limits = {"--resource-type": self.resource_type, "--resource-id": self.resource_id}
        return join([*words, *(word for name, text in limits.items() if text for word in (name, text))])


class Declared(Value):
    """All that one file declares."""

    components: tuple[ComponentEntry, ...] = ()
    stacks: tuple[StackEntry, ...] = ()
    connectors: tuple[ConnectorEntry, ...] = ()


def read_file(path: str) -> Declared:
    """What a YAML file declares; raises `ConfigurationError` with file, line, and the closest right key."""
    data = YamlFile(path, "give the path of a YAML file", "stacks:").read()
    return _Reader(path).declared(data)


def read_table(path: str, data: Map) -> Declared:
    """The same of a table of a TOML file whose lines are known."""
    return _Reader(path).declared(data)


class _Reader(Reader):
    """Plain data on its way to `Declared`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.folder = os.path.dirname(os.path.abspath(path))
        self.shown = os.path.basename(path)

    def declared(self, data: Map) -> Declared:
        readers: Readers = {
            "version": self._version,
            "components": self._types,
            "stacks": self._stacks,
            "service_connectors": self._connectors,
        }
        found = self.each(data, readers, "key")
        found.pop("version", None)
        names = {"service_connectors": "connectors"}
        return Declared(**{names.get(key, key): value for key, value in found.items()})

    def _version(self, value: Any, line: int) -> int:
        if value != VERSION or isinstance(value, bool):
            raise self.wrong(
                line,
                f"version is {kind_of(value)}; this core reads version {VERSION}",
                "use a newer core, or export again",
            )
        return VERSION

    def _types(self, value: Any, line: int) -> tuple[ComponentEntry, ...]:
        readers: Readers = {kind: lambda value, line, kind=kind: self._components(kind, value, line) for kind in TYPES}  # type: ignore[misc]
        found = self.each(self.mapping(value, line), readers, "component type")
        return tuple(entry for kind in TYPES for entry in found.get(kind, ()))

    def _components(self, kind: str, value: Any, line: int) -> list[ComponentEntry]:
        every = self.mapping(value, line)
        return [self._component(kind, name, data, every.lines[name]) for name, data in every.items()]

    def _component(self, kind: str, name: str, value: Any, line: int) -> ComponentEntry:
        self._named(name, said(kind), line)
        if name == DEFAULT and kind in NEEDED:
            raise self.wrong(line, f"{said(kind)} {DEFAULT!r} is built in", "choose another name")
        whose = f" of {said(kind)} {name!r}"
        readers: Readers = {
            "flavor": self.text,
            "settings": self.mapping,
            "connector": self._optional,
            "resource_id": self._optional,
        }
        given = self.each(self.mapping(value, line), readers, "key", whose)
        if "flavor" not in given:
            raise self.wrong(line, f"{said(kind)} {name!r} has no flavor", "add a line `flavor: ...`")
        settings = given.get("settings", NOTHING)
        places = {key: f"{self.shown}:{at}" for key, at in getattr(settings, "lines", {}).items()}
        settings = {key.replace("-", "_"): plain(item) for key, item in settings.items()}
        if given["flavor"] == "local" and isinstance(settings.get("path"), str):
            settings["path"] = os.path.normpath(os.path.join(self.folder, os.path.expanduser(settings["path"])))
        place, texts = f"{self.shown}:{line}", (given.get("connector", ""), given.get("resource_id", ""))
        return ComponentEntry(kind, name, given["flavor"], settings, *texts, place, places)

    def _stacks(self, value: Any, line: int) -> tuple[StackEntry, ...]:
        every = self.mapping(value, line)
        return tuple(self._stack(name, data, every.lines[name]) for name, data in every.items())

    def _stack(self, name: str, value: Any, line: int) -> StackEntry:
        self._named(name, "stack", line)
        if name == DEFAULT:
            raise self.wrong(line, f"stack {DEFAULT!r} is built in", "choose another name")
        readers: Readers = dict.fromkeys(TYPES, self.text)
        given = self.each(self.mapping(value, line), readers, "component type", f" of stack {name!r}")
        parts = {**dict.fromkeys(NEEDED, DEFAULT), **given}
        return StackEntry(name, {kind: parts[kind] for kind in TYPES if kind in parts}, f"{self.shown}:{line}")

    def _connectors(self, value: Any, line: int) -> tuple[ConnectorEntry, ...]:
        every = self.mapping(value, line)
        return tuple(self._connector(name, data, every.lines[name]) for name, data in every.items())

    def _connector(self, name: str, value: Any, line: int) -> ConnectorEntry:
        self._named(name, "service connector", line)
        readers: Readers = {
            "type": self.text,
            "method": self.text,
            "settings": self.mapping,
            "secrets": self.texts,
            "resource_type": self._optional,
            "resource_id": self._optional,
        }
        given = self.each(self.mapping(value, line), readers, "key", f" of service connector {name!r}")
        for key in ("type", "method"):
            if key not in given:
                raise self.wrong(line, f"service connector {name!r} has no {key}", f"add a line `{key}: ...`")
        typed: Any = given.pop("settings", NOTHING)
        settings = {key: self._typed(item, typed.lines[key]) for key, item in typed.items()}
        return ConnectorEntry(name, **given, settings=settings, origin=f"{self.path}:{line}")

    def _typed(self, value: Any, line: int) -> str:
        """A setting of a connector: a text as it would be typed."""
        if isinstance(value, bool | int | float):
            return str(value).lower()
        return self.text(value, line)

    def _optional(self, value: Any, line: int) -> str:
        return "" if value == "" else self.text(value, line)

    def _named(self, name: str, what: str, line: int) -> None:
        try:
            check_entry_name(name, what)
        except UsageError as error:
            raise self.wrong(line, error.message, error.hint) from None


def plain(data: Any) -> Any:
    """Data of a file as ordinary dicts and lists."""
    if isinstance(data, dict):
        return {key: plain(value) for key, value in data.items()}
    return [plain(item) for item in data] if isinstance(data, list) else data
