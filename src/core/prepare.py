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
    orchestrator: Orchestrator,
    materializers: Materializers,
    refer: Callable[[Any, str], None] = lambda *_: None,
) -> None:
    """Check every step against the stack; raises `ConfigurationError` or `PluginError` before anything ran.

    `refer` refuses data whose references to secrets lead nowhere; its second argument begins the message.
    """
    inline = "inline" in orchestrator.capabilities
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
        if options.runs_on is not None and options.runs_on != orchestrator.name:
            raise ConfigurationError(
                f"step {node_id!r} runs on orchestrator {options.runs_on!r}, which this stack does not have",
                "remove runs_on=, or choose a stack whose orchestrator has that name",
            )
        if not inline and spec.travels:
            raise ConfigurationError(
                f"step {node_id!r} cannot run on orchestrator {orchestrator.name!r}: {spec.travels}",
                "move the function to the top level of a module",
            )
