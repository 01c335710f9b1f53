"""Answers what is installed or can be: flavors, materializers, observers of a run, integrations, plugins."""

from __future__ import annotations

from core.errors import CoreError, NotFoundError, PluginError
from core.model.value import Value
from core.names import locate
from core.plugins.flavor import Flavor, Integration
from core.plugins.load import Plugins
from core.ports.materializer import Materializer
from core.ports.observer import Observer
from core.ports.service_connector import ConnectorType
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.plugins.load import Offer
    from core.ports.materializer import Materializers

TABLE = "core.builtin.materializers.table:MaterializerTable"
"""Chooses among materializers; named, not imported, because built-ins stand below plugins in the road."""


class PluginInfo(Value):
    """One plugin as `core doctor` lists it."""

    name: str
    distribution: str
    """Name and version; the file for a one-file plugin."""
    state: str
    """`built in`, `loaded`, `blocked` or `broken`."""
    hooks: tuple[str, ...] = ()
    error: str = ""
    """Why it was set aside."""


class Registry:
    """What plugins and built-ins offer. Asks them when needed and keeps the answers."""

    def __init__(self, home: str = "", one_file: Sequence[str] = ()) -> None:
        self._plugins = Plugins(home, one_file)
        self._flavors: dict[tuple[str, str], list[Offer]] | None = None
        self._connectors: dict[str, list[Offer]] | None = None
        self._offered: dict[str, Offer] | None = None
        self._integrations: dict[str, list[Offer]] | None = None
        self._table: Materializers | None = None

    def flavor(self, type: str, name: str) -> type[Any]:  # noqa: A002 - the word for it everywhere
        """The class of the flavor `name` of component type `type`.

        Raises `NotFoundError` (the hint has the install command or the closest name), and `PluginError` when two
        distributions claim it or its class cannot be imported.
        """
        offers = self._all_flavors().get((type, name), [])
        if not offers:
            raise self._missing(type, name, [flavor.name for flavor in self.flavors(type)])
        return _class_of(_only(offers, f"flavor {name!r} of {type.replace('_', ' ')}"))

    def flavors(self, type: str = "") -> list[Flavor]:  # noqa: A002 - the word for it everywhere
        """Flavors of component type `type` (of all types), by type and name; imports none of their classes."""
        every = [offers[0].item for offers in self._all_flavors().values()]
        return sorted((f for f in every if type in {"", f.type}), key=lambda f: (f.type, f.name))

    def connector_type(self, name: str) -> ConnectorType:
        """The connector type `name`; raises `NotFoundError`, and `PluginError` when two distributions claim it."""
        offers = self._all_connectors().get(name, [])
        if not offers:
            raise self._missing("service connector", name, [kind.name for kind in self.connector_types()], "type")
        return _only(offers, f"type {name!r} of service connector").item  # type: ignore[no-any-return]

    def connector_types(self) -> list[ConnectorType]:
        """Every type of service connector, by name; imports none of their classes."""
        return [offers[0].item for _, offers in sorted(self._all_connectors().items())]

    def integration(self, name: str) -> Integration:
        """The integration `name`, `_` and `-` alike; raises `NotFoundError`, also for one that is not built yet."""
        name = name.lower().replace("-", "_")
        offers = self._all_integrations().get(name, [])
        if offers:
            found: Integration = _only(offers, f"integration {name!r}").item
            if found.requirements:
                return found
        known = [each.name for each in self.integrations() if each.requirements]
        message = f"integration {name!r} is not built yet" if offers else f"there is no integration {name!r}"
        raise NotFoundError(message + ("" if offers else closest(name, known)), f"there are {', '.join(known)}")

    def integrations(self) -> list[Integration]:
        """Every integration, by name; those that are not built yet have no requirements."""
        return [offers[0].item for _, offers in sorted(self._all_integrations().items())]

    def materializers(self) -> Materializers:
        """The table that chooses materializers: the built-in ones and those of plugins, which go first."""
        if self._table is None:
            self._table = locate(TABLE)(extra=self._extra())
        return self._table

    def _extra(self) -> list[Any]:
        """Materializers of plugins; asked once."""
        if self._offered is None:
            self._offered = {}
            for offer in self._plugins.ask("core_materializers"):
                self._add_materializer(self._offered, offer)
        return [offer.item for offer in self._offered.values()]

    def _add_materializer(self, made: dict[str, Offer], offer: Offer) -> None:
        try:
            item = offer.item() if isinstance(offer.item, type) else offer.item
        except Exception as error:  # noqa: BLE001 - border of a plugin
            self._plugins.set_aside(offer.plugin, f"materializer {offer.item!r} cannot be made: {error!r}")
            return
        if not isinstance(item, Materializer) or not isinstance(getattr(item, "name", None), str):
            self._plugins.set_aside(offer.plugin, f"core_materializers gave {item!r}, which is no materializer")
        elif item.name in made:
            other = made[item.name].distribution
            self._plugins.set_aside(offer.plugin, f"materializer {item.name!r} is already the name of one of {other}")
        else:
            made[item.name] = offer._replace(item=item)

    def observers(self, run_id: str, display: str = "auto") -> list[Observer]:
        """New observers for one run; `display` is the setting of that name."""
        observers = []
        for offer in self._plugins.ask("core_observers", run_id=run_id, display=display):
            if isinstance(offer.item, Observer):
                observers.append(offer.item)
            else:
                self._plugins.set_aside(offer.plugin, f"core_observers gave {offer.item!r}, which is no Observer")
        return observers

    def plugins(self) -> list[PluginInfo]:
        """Every plugin, for `core doctor`: asks each of them, so that a broken one shows itself."""
        self._all_flavors()
        self._extra()
        loaded = self._plugins.loaded()
        infos = [
            PluginInfo(
                "core",
                "core",
                "built in",
                ("core_flavors", "core_connectors", "core_integrations", "core_materializers", "core_observers"),
            )
        ]
        infos += [PluginInfo(name, where, "loaded", tuple(hooks)) for name, (where, hooks) in loaded.items()]
        infos += [PluginInfo(item.name, item.distribution, "blocked") for item in self._plugins.blocked]
        infos += [PluginInfo(b.name, b.distribution, "broken", (), b.error) for b in self._plugins.broken]
        return infos

    def troubles(self) -> list[str]:
        """Why a flavor or a connector type that one looks for may be missing, or can't be used; a line each."""
        doubles = self.doubles()  # asks every plugin: then the broken ones are known
        told = [f"plugin {b.name!r} ({b.distribution}) is set aside: {b.error}" for b in self._plugins.broken]
        return told + doubles

    def doubles(self) -> list[str]:
        """Flavors and connector types that several distributions claim, so that nobody can use them; a line each."""
        flavors = self._all_flavors().items()
        every = [(f"flavor {name!r} of {kind.replace('_', ' ')}", offers) for (kind, name), offers in flavors]
        every += [(f"service connector type {name!r}", offers) for name, offers in self._all_connectors().items()]
        return [str(_twice(offers, what).message) for what, offers in every if len(offers) > 1]

    def _all_flavors(self) -> dict[tuple[str, str], list[Offer]]:
        if self._flavors is None:
            self._flavors = {}
            for offer in self._plugins.ask("core_flavors"):
                if not isinstance(offer.item, Flavor):
                    self._plugins.set_aside(offer.plugin, f"core_flavors gave {offer.item!r}, which is no Flavor")
                    continue
                self._flavors.setdefault((offer.item.type, offer.item.name), []).append(offer)
        return self._flavors

    def _all_connectors(self) -> dict[str, list[Offer]]:
        if self._connectors is None:
            self._connectors = {}
            for offer in self._plugins.ask("core_connectors"):
                if not isinstance(offer.item, ConnectorType):
                    what = f"core_connectors gave {offer.item!r}, which is no ConnectorType"
                    self._plugins.set_aside(offer.plugin, what)
                    continue
                self._connectors.setdefault(offer.item.name, []).append(offer)
        return self._connectors

    def _all_integrations(self) -> dict[str, list[Offer]]:
        if self._integrations is None:
            self._integrations = {}
            for offer in self._plugins.ask("core_integrations"):
                if not isinstance(offer.item, Integration):
                    what = f"core_integrations gave {offer.item!r}, which is no Integration"
                    self._plugins.set_aside(offer.plugin, what)
                    continue
                self._integrations.setdefault(offer.item.name.lower().replace("-", "_"), []).append(offer)
        return self._integrations

    def _missing(self, type: str, name: str, known: Sequence[str], what: str = "flavor") -> NotFoundError:  # noqa: A002 - the word for it everywhere
        said = type.replace("_", " ")
        message = f"there is no {what} {name!r} of {said}"
        for each in self.integrations():
            if name in each.connectors if what == "type" else f"{type}/{name}" in each.flavors:
                if each.requirements:
                    return NotFoundError(message, f"install it: `core integration install {each.name}`")
                return NotFoundError(message, f"it comes with the integration {each.name!r}, which is not built yet")
        from difflib import get_close_matches  # start-up time: only an error needs it

        close = get_close_matches(name, known, 3, 0.5)
        hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
        hint += f"installed: {', '.join(known)}" if known else f"no {what} of {said} is installed"
        if self._plugins.broken:
            hint += f"; set aside: {', '.join(item.name for item in self._plugins.broken)}, see `core doctor`"
        return NotFoundError(message, hint)


def _only(offers: Sequence[Offer], what: str) -> Offer:
    """The one offer; two that claim the same are a `PluginError`."""
    if len(offers) > 1:
        raise _twice(offers, what)
    return offers[0]


def _twice(offers: Sequence[Offer], what: str) -> PluginError:
    return PluginError(
        f"{what} is claimed by {' and by '.join(offer.distribution for offer in offers)}",
        "uninstall one of them, or name its plugin in CORE_PLUGINS_BLOCK",
    )


def _class_of(offer: Offer) -> type[Any]:
    flavor: Flavor = offer.item
    target = flavor.target
    what = f"flavor {flavor.name!r} of {flavor.type}, from {offer.distribution},"
    if isinstance(target, str):
        try:
            target = locate(target)
        except CoreError:
            raise
        except Exception as error:  # border of a plugin
            raise PluginError(
                f"{what} cannot be loaded from {target!r}: {type(error).__name__}: {error}",
                "reinstall or mend the plugin; `core doctor` lists all of them",
            ) from error
    if getattr(target, "type", None) != flavor.type:
        raise PluginError(
            f"{what} is {target!r}; expected a component class of type {flavor.type!r}", "mend the plugin"
        )
    return target
