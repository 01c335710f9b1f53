"""Shows a run while it happens: a live tree in a terminal, plain lines elsewhere."""

from core.builtin.display.choose import choose as choose

__all__ = ["choose"]
