"""4. What must be true before the first step runs; whatever core refuses, it refuses here or earlier."""

from __future__ import annotations

from core.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from core.model.spec import StepSpec
    from core.ports.materializer import Materializers
    from core.ports.orchestrator import Orchestrator


def prepare(
    specs: Mapping[str, StepSpec],
    orchestrators: Mapping[str, Orchestrator],
    materializers: Materializers,
    refer: Callable[[Any, str], None] = lambda *_: None,
) -> None:
    """Check every step against where it will run; raises `ConfigurationError` or `PluginError` before anything ran.

    `orchestrators` are those of the run by name, the stack's first. `refer` refuses data whose references to secrets
    lead nowhere; its second argument begins the message.
    """
    default = next(iter(orchestrators))
    checked = set()
    for node_id, spec in specs.items():
        if id(spec) in checked:
            continue
        checked.add(id(spec))
        options = spec.options
        if any("{{" in value for value in options.environment.values()):
            refer(options.environment, f"step {node_id!r}")
        for name in options.materializers.values():
            materializers.named(name)
        orchestrator = orchestrators[options.runs_on or default]
        if "inline" not in orchestrator.capabilities and spec.travels:
            raise ConfigurationError(
                f"step {node_id!r} cannot run on orchestrator {orchestrator.name!r}: {spec.travels}",
                "move the function to the top level of a module",
            )
