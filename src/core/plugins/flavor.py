"""What plugins are written with: `hookimpl` and the values `Flavor` and `Integration`; imports no plugin machinery."""

from __future__ import annotations

from typing import TypeVar, overload

from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_Class = type  # the field `type` hides the builtin inside Flavor
F = TypeVar("F", bound="Callable[..., Any]")


class Flavor(Value):
    """One implementation of a component type, offered by `core_flavors`."""

    type: str
    """Component type, such as `artifact_store`."""
    name: str
    """What people type after `--flavor`, such as `s3`; one of each type."""
    target: str | _Class
    """The component class, or better `"module:Class"`, which is imported when it is first used."""
    doc: str = ""
    """One line for listings."""


class Integration(Value):
    """What people install by one word, offered by `core_integrations`."""

    name: str
    """What people type after `core integration install`, with `_` or `-`."""
    requirements: tuple[str, ...]
    """Its packages as `NAME==VERSION`, pinned: a bare name could be a stranger's. Empty: it is not built yet."""
    doc: str = ""
    """One line for listings."""
    flavors: tuple[str, ...] = ()
    """The flavors that it brings, as `artifact_store/s3`."""
    connectors: tuple[str, ...] = ()
    """The types of service connectors that it brings."""


@overload
def hookimpl(function: F, /) -> F: ...
@overload
def hookimpl(
    *, optionalhook: bool = False, tryfirst: bool = False, trylast: bool = False, specname: str | None = None
) -> Callable[[F], F]: ...
def hookimpl(
    function: F | None = None,
    /,
    *,
    optionalhook: bool = False,
    tryfirst: bool = False,
    trylast: bool = False,
    specname: str | None = None,
) -> F | Callable[[F], F]:
    """Mark a function as the implementation of the hook of its name (or of `specname`), bare or with arguments.

    `optionalhook`: a version of core without that hook is fine. It sets what `pluggy.HookimplMarker("core")` sets,
    without importing pluggy, and has no wrappers: hooks offer or observe.
    """

    def mark(marked: F) -> F:
        marked.core_impl = {  # type: ignore[attr-defined]
            "wrapper": False,
            "hookwrapper": False,
            "optionalhook": optionalhook,
            "tryfirst": tryfirst,
            "trylast": trylast,
            "specname": specname,
        }
        return marked

    return mark if function is None else mark(function)
