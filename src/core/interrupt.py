"""SIGTERM during a run: recorded as Ctrl-C is, then the process dies of it, as whoever sent it expects."""

from __future__ import annotations

import os
import signal
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; raised in the main thread, through the running step."""


class Terminable:
    """While entered, SIGTERM raises `Terminated`; left by it, the process ends itself by SIGTERM (exit code 143).

    Does nothing outside the main thread, and where the program handles SIGTERM itself.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._set = False

    def __enter__(self) -> None:
        here = threading.current_thread() is threading.main_thread()
        if here and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminated)
            self._set = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._set:
            return
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if kind is not None and issubclass(kind, Terminated):
            os.kill(os.getpid(), signal.SIGTERM)

    def _terminated(self, *_: Any) -> None:
        if os.getpid() == self._pid:
            raise Terminated
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a child that was forked within a step: not its run
        os.kill(os.getpid(), signal.SIGTERM)
