"""A value that does not fit, before it is known which parameter it belongs to."""

from __future__ import annotations


class Misfit(Exception):
    """`text` begins with the place inside the value."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
