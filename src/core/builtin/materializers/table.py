"""Chooses the materializer of a value: by its class, the nearest base first, plugins' before core's own."""

from __future__ import annotations

import sys

from core.builtin.materializers import BUILTIN
from core.errors import MissingDependencyError, OutputError, PluginError
from core.names import locate, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from core.ports.materializer import Materializer

DATACLASS = "dataclasses:dataclass"


class MaterializerTable:
    """The `Materializers` of a process. Classes are imported when first needed and kept."""

    def __init__(self, extra: Iterable[Materializer | type[Materializer]] = ()) -> None:
        """`extra` are the materializers of plugins; raises `PluginError` for a name that is taken."""
        self._made: dict[str, Materializer] = {}
        self._targets: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}
        self._kinds: dict[type, tuple[str, ...]] = {}
        self._before_torch = True
        own = {name: target for name, _, target in BUILTIN}
        for item in extra:
            made: Materializer = item() if isinstance(item, type) else item
            there = self._made.get(made.name)
            other = name_of(type(there)) if there else own.get(made.name, "")
            if other and (there or other != name_of(type(made))):
                raise PluginError(
                    f"materializer {made.name!r} is claimed by {other!r} and by {name_of(type(made))!r}",
                    "rename yours or uninstall it, or name its plugin in CORE_PLUGINS_BLOCK",
                )
            self._made[made.name] = made
            self._register(made.name, made.types)
        for name, types, target in BUILTIN:
            self._targets[name] = target
            if name not in self._made or not self._made[name].types:
                self._register(name, types)

    def _register(self, name: str, types: Iterable[str]) -> None:
        for kind in types:
            self._names.setdefault(kind, []).append(name)

    def for_value(self, value: Any, name: str | None = None) -> Materializer:
        """The one for `value`, or the one called `name`; raises `OutputError` when it does not take the value."""
        if name is not None:
            chosen = self.named(name)
            if not chosen.accepts(value):
                raise OutputError(
                    f"materializer {name!r} does not take this value of type {name_of(type(value))!r}",
                    "leave the choice to core: drop the entry from @step(materializers=...)",
                )
            return chosen
        if self._before_torch and "torch" in sys.modules:
            self._before_torch = False
            self._kinds.clear()
        kind = type(value)
        candidates = self._kinds.get(kind)
        if candidates is None:
            candidates = self._kinds[kind] = self._for_kind(kind)
        for candidate in candidates:
            made = self._made.get(candidate) or self.named(candidate)
            if made.accepts(value):
                return made
        raise OutputError(
            f"no materializer takes a value of type {name_of(kind)!r}",
            "return plain data, or install or write a materializer for the type",
        )

    def _for_kind(self, kind: type) -> tuple[str, ...]:
        """Names of those registered for the class and its bases, nearest first; a dataclass comes before `object`."""
        keys = [name_of(base) for base in kind.__mro__]
        if hasattr(kind, "__dataclass_fields__"):
            keys.insert(-1, DATACLASS)
        names = dict.fromkeys(name for key in keys for name in self._names.get(key, ()))
        if self._before_torch:
            names.pop("torch", None)  # no dict is one of tensors before torch is imported
        return tuple(names)

    def named(self, name: str) -> Materializer:
        """The one called `name`; raises `PluginError` when no installed plugin has it."""
        made = self._made.get(name)
        if made is None:
            target = self._targets.get(name)
            if target is None:
                known = ", ".join(sorted({*self._made, *self._targets}))
                hint = f"install the plugin that brings it, or choose one of {known}"
                raise PluginError(f"there is no materializer {name!r}", hint)
            made = self._made[name] = _make(name, target)
        return made


def _make(name: str, target: str) -> Materializer:
    try:
        made: Materializer = locate(target)()
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        raise MissingDependencyError(
            f"materializer {name!r} needs the library {library!r}, which is not installed here",
            f"pip install {library}",
        ) from error
    return made
