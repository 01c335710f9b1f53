"""Looks at a stack as a whole: whether each part can be built, whether they go together, whether they let us in."""

from __future__ import annotations

from core.errors import ConfigurationError, CoreError, PluginError
from core.model.value import Value
from core.stack.build import build
from core.stack.entries import BUILT_IN, CATALOG, NEEDED, said
from core.stack.opened import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from core.ports.component import Component
    from core.stack.build import Means
    from core.stack.entries import ComponentEntry, Shelf, StackEntry
    from core.stack.opened import Stack

    Mend = Callable[[str, str], str]  # from option, such as `-a NAME`, and key of what is lacking to what to do


class Finding(Value):
    """What was found about one part of a stack, or about how its parts go together."""

    part: str
    """Such as `artifact store 'bucket'`."""
    error: CoreError | None = None
    """What is wrong; None when it is fine."""


def findings(means: Means, shelf: Shelf, stack: StackEntry, mend: Mend | None = None, *, verify: bool) -> list[Finding]:
    """What is to be said of every part of `stack`, and of all together; `verify` tries credentials too.

    `mend` tells how a stack that is not kept yet gets what it lacks.
    """
    found, built = [], {}
    for kind, name in stack.components.items():
        try:
            entry = shelf.component(kind, name)
            built[kind] = build(means, entry)
            if verify:
                try_out(entry, built[kind])
        except CoreError as error:
            found.append(Finding(f"{said(kind)} {name!r}", error))
        else:
            found.append(Finding(entry.noun))
    together = list(misfits(stack.name, built, mend or mending(stack.name, stack.origin)))
    return [*found, *(Finding("the whole", error) for error in together)]


def mending(stack: str, origin: str) -> Mend:
    """How a stack gets another component."""
    if origin in {CATALOG, BUILT_IN}:
        return lambda option, _: f"then `core stack update {stack} {option}`"
    return lambda _, key: f"then write `{key}: NAME` to the stack in {origin}"


def misfits(stack: str, parts: Mapping[str, Any], mend: Mend) -> Iterator[ConfigurationError]:
    """What parts that are right by themselves lack together; each error has the command that mends it."""
    orchestrator, store = parts.get("orchestrator"), parts.get("artifact_store")
    if orchestrator is None or not orchestrator.remote:
        return
    runs = f"orchestrator {orchestrator.name!r} of stack {stack!r} runs steps on other machines"
    if store is not None and not (store.remote or store.shared):
        yield ConfigurationError(
            f"{runs}, and artifact store {store.name!r} lies on this one",
            "`core artifact-store register NAME -f FLAVOR --path=...` (`core artifact-store flavor list`), "
            f"{mend('-a NAME', 'artifact_store')}",
        )
    if parts.get("container_registry") is None:
        yield ConfigurationError(
            f"{runs}, and the stack has no container registry from which they could pull images",
            "`core container-registry register NAME -f FLAVOR --uri=...` (`core container-registry flavor list`), "
            f"{mend('-c NAME', 'container_registry')}",
        )


def refuse(stack: str, errors: Sequence[CoreError], hint: str = "") -> None:
    """Raise what was found: one error as it is, several as one that lists them and ends with `hint`."""
    if not errors:
        return
    if len(errors) == 1:
        raise errors[0]
    lines = [f"  - {error.message}\n    hint: {error.hint}" for error in errors]
    message = "\n".join([f"stack {stack!r} can't be used yet:", *lines])
    raise type(errors[0])(message, hint or f"`core stack validate {stack}` looks at it again")


def check_opened(stack: Stack, orchestrator: Component | None = None) -> None:
    """The same look at a stack that is to run something, with its own orchestrator or one that a step names."""
    parts = {component.type: component for component in stack.components()}
    if orchestrator is not None:
        parts["orchestrator"] = orchestrator
    refuse(stack.name, list(misfits(stack.name, parts, mending(stack.name, stack.origin))))
    inline = "inline" in getattr(parts["orchestrator"], "capabilities", ())
    for kind, component in parts.items():
        if component.name != DEFAULT and (kind in NEEDED or not inline):
            _verify(f"{said(kind)} {component.name!r}", component)


def try_out(entry: ComponentEntry, component: Component) -> None:
    """Let a component that is being registered try whether it can be used; what it raises names it."""
    try:
        _verify(f"{entry.noun} (flavor {entry.flavor!r})", component)
    except CoreError as error:
        raise type(error)(error.message, f"{error.hint}; --no-verify skips this".removeprefix("; ")) from error


def _verify(what: str, component: Component) -> None:
    try:
        component.verify()
    except CoreError as error:
        said = error.message if repr(component.name) in error.message else f"{what}: {error.message}"
        raise type(error)(said, error.hint) from error
    except Exception as error:  # border of a plugin
        raise PluginError(
            f"{what} could not be tried: {type(error).__name__}: {error}", "report it to the plugin's authors"
        ) from error
