"""A one-file plugin: the orchestrator double as the flavor `process`."""

from core.plugins.flavor import Flavor, hookimpl


@hookimpl
def core_flavors() -> list[Flavor]:
    """One flavor."""
    return [Flavor("orchestrator", "process", "core.testing.orchestrator:ProcessOrchestrator", "For tests.")]
