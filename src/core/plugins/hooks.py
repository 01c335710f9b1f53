"""The hooks, in firing order. Each offers something or observes; none can change what core does with the rest."""

from __future__ import annotations

import pluggy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.plugins.flavor import Flavor, Integration
    from core.ports.materializer import Materializer
    from core.ports.observer import Observer
    from core.ports.service_connector import ConnectorType

hookspec = pluggy.HookspecMarker("core")


@hookspec
def core_flavors() -> list[Flavor]:  # type: ignore[empty-body]
    """Offer flavors of components.

    Fires once in a process, when a component that is not part of the default stack is first asked for or listed.
    """


@hookspec
def core_connectors() -> list[ConnectorType]:  # type: ignore[empty-body]
    """Offer types of service connectors, as data: import no SDK here.

    Fires once in a process, when a connector is first asked for or listed.
    """


@hookspec
def core_integrations() -> list[Integration]:  # type: ignore[empty-body]
    """Offer words for `core integration install`, such as one for a package that works together with yours.

    Fires once in a process, when an integration is asked for, or a flavor that is not installed.
    """


@hookspec
def core_materializers() -> list[Materializer | type[Materializer]]:  # type: ignore[empty-body]
    """Offer materializers: classes without required arguments, or objects.

    Fires once in a process, before the first artifact is saved or loaded. `types` are strings: import no library here.
    """


@hookspec
def core_observers(run_id: str, display: str) -> list[Observer]:  # type: ignore[empty-body]
    """Offer observers of one run.

    Fires once a run, after it was planned and before its first step. `display` is the setting of that name: how the
    person wants to see the run. An implementation may leave either argument out.
    """
