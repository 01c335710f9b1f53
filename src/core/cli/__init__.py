"""The `core` command: a noun, then a verb. Each noun is a module of its own, imported only when it is chosen."""

from core.cli.program import main

__all__ = ["main"]
