"""4. What must be true before the first step runs; whatever core refuses, it refuses here or earlier."""

from __future__ import annotations

from core.errors import ConfigurationError
from core.text import size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from core.model.spec import Resources, StepSpec
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
        if options.resources is not None:
            _check(options.resources, node_id)
        orchestrator = orchestrators[options.runs_on or default]
        if "inline" not in orchestrator.capabilities and spec.travels:
            raise ConfigurationError(
                f"step {node_id!r} cannot run on orchestrator {orchestrator.name!r}: {spec.travels}",
                "move the function to the top level of a module",
            )


def _check(resources: Resources, step: str) -> None:
    """Whether they are written as any orchestrator reads them."""
    for name, text in (("memory", resources.memory), ("disk", resources.disk)):
        if text is not None and size_of(text) is None:
            raise ConfigurationError(f"step {step!r}: {name} {text!r} is no size", "write it as `16GiB` or `512MB`")
    if resources.cpus is not None and not resources.cpus > 0:
        raise ConfigurationError(f"step {step!r}: cpus is {resources.cpus!r}", "give it more, such as 0.5 or 2")
    kind, colon, count = (resources.accelerators or "any").partition(":")
    if not kind or (colon and not (count.isdecimal() and int(count))):
        raise ConfigurationError(
            f"step {step!r}: accelerators {resources.accelerators!r} must be kind and count", "write it as `A100:1`"
        )
