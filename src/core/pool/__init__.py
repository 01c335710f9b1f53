"""Worker processes: real parallelism, attempts that can be ended, all that they print down to file descriptors."""

from core.pool.pool import Pool

__all__ = ["Pool"]
