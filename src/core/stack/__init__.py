"""Stacks: what the catalog and the repository say of components, checked and built; knows no phase of a run."""

from core.stack.opened import DEFAULT, Stack, open_stack

__all__ = ["DEFAULT", "Stack", "open_stack"]
