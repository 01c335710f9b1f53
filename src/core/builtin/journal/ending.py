"""How what a thread brings to the store while a run is at work comes to its end, though the store may be away."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

    from core.errors import CoreError


def finish(thread: Thread, turn: Callable[[], None], away: Callable[[], CoreError | None], patience: float) -> str:
    """Wait for the end of `thread`, which was told to, then take turns until the store is not `away` after one.

    Empty when all was brought; else why it was not, after `patience` seconds, or thrice as many for the thread. Raises
    what a turn raises.
    """
    thread.join(3 * patience)
    until, pause = time.monotonic() + patience, 0.1
    while not thread.is_alive():
        turn()
        if away() is None:
            return ""
        if time.monotonic() > until:
            break
        time.sleep(pause)
        pause = min(2 * pause, 2.0)
    error = away()
    return error.message if error is not None else "the store does not answer"
