"""What every part of a stack has: a type, a flavor, settings, capabilities."""

from __future__ import annotations

from typing import ClassVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Component:
    """One implementation of a component type. A plugin subclasses a port, sets `flavor`, and nests `Settings`.

    `Settings` is a pydantic model that refuses unknown keys; command-line flags, environment names and documentation
    derive from it. It may be written as `"module:Class"`, which is imported only when settings are given.
    """

    type: ClassVar[str]
    """Component type, such as `artifact_store`; the port sets it."""
    flavor: ClassVar[str]
    """Name of the implementation, such as `local`."""
    Settings: ClassVar[Any] = None
    """Settings model, its import path, or None where there is nothing to set."""
    name: str = "default"
    """Name under which the catalog knows this one."""

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings

    def close(self) -> None:
        """Free what the component holds; it is not used afterwards."""
