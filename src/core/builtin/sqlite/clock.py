"""The store's clock: runs on while the machine sleeps, and does not jump when somebody sets the wall clock."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.builtin.sqlite.connection import Database


def boot_id() -> str:
    """What this boot of this machine is called by its kernel; empty where the kernel does not tell (not Linux)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def since_boot() -> float:
    """Seconds since the machine was booted, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class StoreClock:
    """Seconds since 1970 that all processes of one boot agree upon: the time since boot, and an anchor in the database.

    The first process after a boot sets the anchor by the wall clock, or later: past the end of every lease that was
    recorded, so that no lease of before the boot is alive, even if the wall clock went back. Where the time since boot
    is not known (macOS), it is the wall clock, and somebody who sets that ends leases early or late.
    """

    def __init__(
        self,
        database: Database,
        sql: Mapping[str, str],
        wall: Callable[[], float] = time.time,
        booted: Callable[[], float] = since_boot,
        boot: str | None = None,
    ) -> None:
        self._database = database
        self._sql = sql
        self._wall = wall
        self._booted = booted
        self._boot = boot_id() if boot is None else boot
        self._anchor: float | None = None
        if not self._boot or not hasattr(time, "CLOCK_BOOTTIME"):
            self._anchor, self._booted = 0.0, wall

    def __call__(self) -> float:
        """The time; the first call reads the database, so it must not stand in a transaction."""
        if self._anchor is None:
            self._anchor = self._find()
        return self._anchor + self._booted()

    def _find(self) -> float:
        found = self._database.read(self._sql["anchor"], (self._boot,))
        if not found:
            with self._database.transaction() as connection:
                (latest,) = connection.execute(self._sql["latest_lease"]).fetchone()
                anchor = max(self._wall(), latest or 0.0) - self._booted()
                connection.execute(self._sql["put_anchor"], (self._boot, anchor))
            found = self._database.read(self._sql["anchor"], (self._boot,))
        return float(found[0][0])
