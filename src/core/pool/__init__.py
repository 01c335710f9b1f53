"""Worker processes: attempts side by side, each with its own output, each of which can be ended at any time."""

from core.pool.pool import Pool

__all__ = ["Pool"]
