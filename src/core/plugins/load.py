"""Loads plugins one at a time and asks them; one that fails is set aside and named, the rest works."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from core.model.value import Value
from core.names import dotted, locate
from core.plugins.discover import canonical, installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from pluggy import PluginManager

BUILTIN = "core.builtin.plugin"
ALLOW = "CORE_PLUGINS_ALLOW"
"""Comma list of plugin or distribution names: only these are loaded."""
BLOCK = "CORE_PLUGINS_BLOCK"
"""Comma list of plugin or distribution names that are not loaded; `*` for all."""


class BrokenPlugin(Value):
    """A plugin that was set aside."""

    name: str
    distribution: str
    """Name and version of its distribution; the file for a one-file plugin."""
    error: str
    """What went wrong, in one line."""


class Candidate(Value):
    """A plugin that could be loaded."""

    name: str
    target: str
    """`module`, `module:object`, or the path of a file."""
    distribution: str
    """Name and version; the file or module for a one-file plugin."""


class Offer(Value):
    """One thing that a plugin's hook returned."""

    plugin: str
    distribution: str
    item: Any


class Plugins:
    """The plugins of this process: looked for when they are asked for, imported when they are needed."""

    def __init__(
        self, home: str = "", one_file: Sequence[str] = (), environment: Mapping[str, str] = os.environ
    ) -> None:
        self._home = home
        self._one_file = one_file
        self._environment = environment
        self._candidates: list[Candidate] | None = None
        self._manager: PluginManager | None = None
        self._distributions: dict[str, str] = {}
        self.blocked: list[Candidate] = []
        """Plugins that the environment keeps out."""
        self.broken: list[BrokenPlugin] = []
        """Plugins that were set aside so far."""

    def candidates(self) -> list[Candidate]:
        """Every plugin that is installed or named and not blocked; imports none."""
        if self._candidates is None:
            found = [Candidate(f.name, f.target, f"{f.distribution} {f.version}") for f in installed(self._home)]
            found += [Candidate(_stem(item), item, item) for item in self._one_file]
            self._candidates = [item for item in found if self._allowed(item)]
            self.blocked = [item for item in found if item not in self._candidates]
            known = {name for item in found for name in _names(item)}
            self.broken += [
                BrokenPlugin(name, "", f"is named in {ALLOW} but not installed")
                for name in sorted(_words(self._environment, ALLOW) - known)
            ]
        return self._candidates

    def _allowed(self, item: Candidate) -> bool:
        allow, block = _words(self._environment, ALLOW), _words(self._environment, BLOCK)
        return not (block & {*_names(item), "*"}) and (not allow or bool(allow & _names(item)))

    def ask(self, hook: str, **arguments: Any) -> list[Offer]:
        """What the built-ins and then every plugin return for `hook`, one offer for each item, in firing order."""
        builtin = import_module(BUILTIN)
        offers = [Offer("core", "core", item) for item in getattr(builtin, hook)(**arguments)]
        if self.candidates():
            for name, function, wanted in self._implementations(hook):
                offers += self._call(name, hook, function, {key: arguments[key] for key in wanted})
        return offers

    def _call(self, name: str, hook: str, function: Any, arguments: dict[str, Any]) -> list[Offer]:
        try:
            items = list(function(**arguments) or ())
        except Exception as error:  # noqa: BLE001 - border of a plugin
            self.set_aside(name, f"{hook} raised {_line(error)}")
            return []
        return [Offer(name, self._distributions[name], item) for item in items]

    def set_aside(self, name: str, error: str) -> None:
        """Take a loaded plugin out and remember why."""
        self.broken.append(BrokenPlugin(name, self._distributions.get(name, ""), error))
        if self._manager is not None and self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def loaded(self) -> dict[str, tuple[str, list[str]]]:
        """Distribution and hooks of each plugin that works, by name; loads them all."""
        if not self.candidates():
            return {}
        manager = self._load()
        callers = {name: manager.get_hookcallers(plugin) or [] for name, plugin in manager.list_name_plugin()}
        return {name: (self._distributions[name], [hook.name for hook in hooks]) for name, hooks in callers.items()}

    def _implementations(self, hook: str) -> Iterator[tuple[str, Any, Sequence[str]]]:
        for implementation in reversed(getattr(self._load().hook, hook).get_hookimpls()):
            yield implementation.plugin_name, implementation.function, implementation.argnames

    def _load(self) -> PluginManager:
        if self._manager is None:
            from pluggy import PluginManager  # start-up time: 30 ms, only where a plugin is installed

            from core.plugins import hooks  # start-up time: the same

            self._manager = PluginManager("core")
            self._manager.add_hookspecs(hooks)
            for candidate in self.candidates():
                self._load_one(self._manager, candidate)
        return self._manager

    def _load_one(self, manager: PluginManager, candidate: Candidate) -> None:
        name = candidate.name
        if name in self._distributions:
            other = self._distributions[name]
            self.broken.append(BrokenPlugin(name, candidate.distribution, f"{other} has a plugin of the same name"))
            return
        self._distributions[name] = candidate.distribution
        try:
            manager.register(_import(candidate.target), name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - border of a plugin: whatever its import raises
            self.set_aside(name, _line(error))
            return
        unknown = _unknown_hooks(manager, name)
        if unknown:
            known = ", ".join(caller.name for caller in vars(manager.hook).values() if caller.has_spec())
            self.set_aside(name, f"implements {unknown}, which this version of core does not have; it has {known}")


def _unknown_hooks(manager: PluginManager, name: str) -> str:
    callers = manager.get_hookcallers(manager.get_plugin(name)) or []
    unknown = []
    for caller in callers:
        mine = [each for each in caller.get_hookimpls() if each.plugin_name == name]
        if not caller.has_spec() and not all(each.optionalhook for each in mine):
            unknown.append(caller.name)
    return ", ".join(unknown)


def _import(target: str) -> Any:
    """The plugin object of an entry point, or the module of a one-file plugin."""
    if not (target.endswith(".py") or os.sep in target):
        return locate(target) if ":" in target else import_module(target)
    if not os.path.isfile(target):
        message = f"there is no file {target!r}"
        raise FileNotFoundError(message)
    root, name = dotted(os.path.abspath(target))
    if root not in sys.path:
        sys.path.append(root)  # at the end: a plugin's folder must not hide installed modules
    module = import_module(name)
    if not os.path.samefile(module.__file__ or os.devnull, target):
        message = f"{name!r} is already the name of {module.__file__!r}; rename {target!r}"
        raise ImportError(message)
    return module


def _names(item: Candidate) -> set[str]:
    """Under which names the environment may allow or block it."""
    return {canonical(item.name), canonical(item.distribution.split(" ")[0])}


def _words(environment: Mapping[str, str], variable: str) -> set[str]:
    words = environment.get(variable, "").split(",")
    return {canonical(word.strip()) for word in words if word.strip()}


def _stem(item: str) -> str:
    return os.path.basename(item).removesuffix(".py")


def _line(error: BaseException) -> str:
    """Type and message in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
