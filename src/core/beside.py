"""Work that goes on beside the caller's, in a thread that keeps nobody from leaving."""

from __future__ import annotations

from threading import Thread
from typing import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Beside(Generic[T]):
    """Begins `work` at once. A registry that hangs must not hold up Ctrl-C, as the threads of an executor would."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = Thread(target=self._do, name="core-beside", daemon=True)
        self._thread.start()

    def result(self) -> T:
        """What it gave, or raised, when it is done."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _do(self) -> None:
        try:
            self._value.append(self._work())
        except BaseException as error:  # noqa: BLE001 - the caller's to raise
            self._error = error
