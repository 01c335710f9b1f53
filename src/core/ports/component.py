"""What every part of a stack has: a type, a flavor, settings, capabilities."""

from __future__ import annotations

from typing import ClassVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from core.ports.service_connector import Credentials


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
    resource_type: ClassVar[str] = ""
    """Resource type for which a service connector gives credentials, such as `s3-bucket`; empty: it takes none."""
    remote: ClassVar[bool] = False
    """Whether what it keeps or runs can be reached from other machines too."""
    name: str = "default"
    """Name under which the catalog knows this one."""
    credentials: Callable[[], Credentials] | None = None
    """Gives credentials that are valid now, renewed in time: set before first use when a connector is linked."""

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings

    def resource_id(self) -> str:
        """Id of the resource that this component needs credentials for, such as `s3://BUCKET`; empty: any."""
        return ""

    def requirements(self) -> tuple[str, ...]:
        """What pip must install in a step's container for this one to work there, beside the package it comes from."""
        return ()

    def verify(self) -> None:
        """Try whether it can be used, with one or two cheap calls: at registration, and before a run.

        Raises `AuthenticationError`, `NotAllowedError`, `NotFoundError` or `InfrastructureError`.
        """

    def close(self) -> None:
        """Free what the component holds; it is not used afterwards."""
