"""Text that knows what it is: HTML and Markdown as outputs of steps, shown as such in notebooks."""

from __future__ import annotations


class HTML(str):
    """Text to be shown as HTML; a `str` in every other way."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)


class Markdown(str):
    """Text to be shown as Markdown; a `str` in every other way."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)
