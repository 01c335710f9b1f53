"""Chooses the display for a stream."""

from __future__ import annotations

import os

from core.builtin.display.plain import PlainDisplay
from core.ports.observer import Observer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def choose(stream: TextIO, wish: str = "") -> Observer:
    """The display for `stream`; `wish` is `auto`, `live` (or `rich`), `plain` or `none`, by default `CORE_DISPLAY`.

    `auto` is the live tree in a terminal that can move its cursor, plain lines elsewhere.
    """
    wish = wish or os.environ.get("CORE_DISPLAY") or "auto"
    if wish == "none" or stream is None:  # a program without a terminal may have no standard error at all
        return Observer()
    if wish in {"live", "rich"} or (wish == "auto" and _terminal(stream)):
        from core.builtin.display.live import LiveDisplay  # start-up time: rich, only for a terminal

        return LiveDisplay(stream)
    return PlainDisplay(stream)


def _terminal(stream: TextIO) -> bool:
    return hasattr(stream, "isatty") and stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}
