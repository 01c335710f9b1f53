"""A detached driver by the identity of its machine, such as a VM with a role: it renews what the client only lent.

Whether that opens the same things is tried before anything relies on it.
"""

from __future__ import annotations

from core.connectors import Renewing
from core.connectors.asking import asked
from core.connectors.recipe import Recipe, connector_class
from core.entrypoint import open_component
from core.errors import CoreError, InfrastructureError, NotFoundError
from core.pact import place_of
from core.secrets import Vault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.plugins.registry import Registry
    from core.ports.component import Component


def adopt(component: Component, entry: Mapping[str, Any], run: str, registry: Registry, home: str) -> None:
    """Give `component`, which `entry` describes (`core.ship.entry_for_driver`), credentials that this machine renews.

    Asks the cloud. Raises `CoreError` that says why there are none, or what they do not open; nothing has changed then.
    """
    told = entry["connector"]
    if told is None:
        raise NotFoundError("no service connector gave them")
    kind = registry.connector_type(told["type"])
    with asked(told["name"], told["type"]):
        ways = connector_class(kind).machine_identity(told["settings"])
    if not ways:
        raise NotFoundError(f"connectors of type {kind.name!r} know no identity of a machine")
    for method, settings in ways:
        recipe = Recipe(told["name"], kind, method, settings, Vault(home, lambda: False))
        own = Renewing(recipe, told["resource_type"], told["resource_id"])
        try:
            _try(own, open_component(registry, component.type, entry), component.name, run)
        except InfrastructureError:
            raise  # it may pass: who does not wait would take a way that opens more
        except CoreError:
            if (method, settings) == ways[-1]:
                raise
        else:
            component.credentials = own
            return


def _try(own: Renewing, component: Any, name: str, run: str) -> None:
    """Whether a component of its own can be used with them, and closes it."""
    component.name, component.credentials = name, own
    try:
        own()
        component.verify()
        if component.type == "artifact_store":
            _write(component, run)
    finally:
        component.close()


def _write(store: Any, run: str) -> None:
    """An object and back: who may only read would be found out when a step has ended."""
    name = place_of(f"{run}/identity")
    store.write(name, b"")
    store.remove(name)
