"""Parameters as plain data: checked and coerced against their annotation, and back."""

from core.values.plain import from_plain, to_plain

__all__ = ["from_plain", "to_plain"]
