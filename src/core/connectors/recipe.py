"""How one connector is built: plain data that may travel to another process, its settings sealed on the way."""

from __future__ import annotations

import json

from core.connectors.asking import asked
from core.errors import CoreError, PluginError
from core.names import locate
from core.ports.service_connector import ServiceConnector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.ports.service_connector import ConnectorType
    from core.secrets import Vault


class Recipe:
    """Type, method and settings of a connector, in the clear while it stays in this process."""

    def __init__(self, name: str, kind: ConnectorType, method: str, settings: Mapping[str, str], vault: Vault) -> None:
        self.name = name
        self.kind = kind
        self.method = method
        self._settings: Mapping[str, str] | None = settings
        self._vault = vault
        self._sealed = ""

    @property
    def settings(self) -> Mapping[str, str]:
        """Settings of the method, secrets in the clear."""
        if self._settings is None:
            self._settings = json.loads(self._vault.decrypt(self._sealed, self._place()))
        return self._settings

    def build(self) -> ServiceConnector:
        """The connector; asks nobody. Raises `PluginError` when the plugin's class is not what it should be."""
        made = connector_class(self.kind)
        with asked(self.name, self.kind.name):
            return made(self.method, self.settings)

    def _place(self) -> tuple[str, ...]:
        return "", "service_connector", self.name, "settings"

    def __getstate__(self) -> dict[str, Any]:
        """Everything, the settings encrypted."""
        sealed = self._sealed or self._vault.encrypt(json.dumps(dict(self.settings)), self._place())
        return {**self.__dict__, "_settings": None, "_sealed": sealed}

    def __repr__(self) -> str:
        """Without settings."""
        return f"Recipe({self.name!r}, {self.kind.name!r}, {self.method!r})"


def connector_class(kind: ConnectorType) -> type[ServiceConnector]:
    """The class of a connector type; imports it. Raises `PluginError` when it can't be, or is no connector."""
    try:
        made = locate(kind.target)
    except CoreError:
        raise
    except Exception as error:  # border of a plugin
        raise PluginError(
            f"connector type {kind.name!r} cannot be loaded from {kind.target!r}: {type(error).__name__}: {error}",
            "reinstall or mend the plugin; `core doctor` lists all of them",
        ) from error
    if not (isinstance(made, type) and issubclass(made, ServiceConnector)):
        raise PluginError(
            f"connector type {kind.name!r} is {made!r}; expected a ServiceConnector class", "mend the plugin"
        )
    return made
