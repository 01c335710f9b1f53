"""The empty mapping that can't be changed: default of mapping fields."""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})
