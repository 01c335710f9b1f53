"""Options as plain data, for the graph."""

from __future__ import annotations

from core.define import is_number
from core.errors import UsageError
from core.model.nothing import NOTHING
from core.names import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.model.spec import StepOptions


def plain_options(options: StepOptions) -> Mapping[str, Any]:
    """The options that differ from the default, as plain data."""
    default = type(options)()
    if options == default:
        return NOTHING
    changed = {name: value for name, value in options._asdict().items() if value != getattr(default, name)}
    return {name: plain_option(value) for name, value in changed.items() if name != "name"}


def plain_option(value: Any) -> Any:
    """One option, or a mapping of them, as plain data."""
    if value is None or isinstance(value, str | bool) or is_number(value):
        return value
    if hasattr(value, "_asdict"):
        return {name: plain_option(item) for name, item in value._asdict().items() if item is not None}
    if isinstance(value, tuple | list):
        return [plain_option(item) for item in value]
    if hasattr(value, "items"):
        return {str(name): plain_option(item) for name, item in value.items()}
    if hasattr(value, "__qualname__"):
        return name_of(value)
    raise UsageError(f"option value {value!r} is no plain data", "use numbers, text, lists or dicts")
