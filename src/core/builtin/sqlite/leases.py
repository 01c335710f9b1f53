"""Leases in their table, each backed by a lock of its owner's process; and claims, which are locks and nothing else."""

from __future__ import annotations

from core.builtin.sqlite.locks import Locks
from core.errors import ConflictError, LeaseLostError
from core.ports.tracking_store import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from core.builtin.sqlite.connection import Database


class Leases:
    """What the tracking store says of leases and claims.

    The owner of a lease keeps the lock `name#epoch`, and the row says in which file of which kernel (`backing`). While
    the lease has time left, but that lock is free, its owner's process is dead, and the lease reads as one that ran
    out. Of a lease that says nothing, or that another machine's kernel backs, time alone decides.
    """

    def __init__(self, database: Database, sql: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._database = database
        self._sql = sql
        self._clock = clock
        locks = self._locks = Locks(f"{database.path}-locks")

        def alive(name: str, epoch: int, backing: str) -> bool:
            try:
                return backing != _backing(epoch, locks) or locks.held(_lock(name, epoch))
            except OSError:
                return True

        database.define("alive", alive, 3)

    def acquire(self, name: str, owner: str, seconds: float, epoch: int = 0) -> Lease:
        """See the port."""
        self._clock()  # its first reading can't be inside a transaction
        with self._database.transaction() as connection:
            row = connection.execute(self._sql["lease"], (name,)).fetchone()
            now = self._clock()
            epoch = max(epoch, 1)
            if row is not None:
                held = Lease(*row)
                if held.owner != owner and held.expires_at > now:
                    raise ConflictError(
                        f"{name!r} is held by {held.owner!r} for another {held.expires_at - now:.0f} s",
                        "wait until its owner ends or falls silent",
                    )
                epoch = max(epoch, held.epoch + (held.owner != owner))
            lease = Lease(name, owner, epoch, now + seconds)
            connection.execute(self._sql["put_lease"], (*lease, self._back(lease)))
        return lease

    def adopt(self, lease: Lease) -> None:
        """See the port. One that a lock of some process backs is known better here."""
        with self._database.transaction() as connection:
            row = connection.execute(self._sql["backing"], (lease.name,)).fetchone()
            if row is None or row[0] < lease.epoch or (row[0] == lease.epoch and not row[1]):
                connection.execute(self._sql["put_lease"], (*lease, ""))

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """See the port. A lease that was released is lost, too."""
        self._clock()
        with self._database.transaction() as connection:
            row = connection.execute(self._sql["lease_by_time"], (lease.name,)).fetchone()
            if row is None or row[2] != lease.epoch or row[3] == 0:
                raise _lost(lease, Lease(*row) if row else None)
            renewed = lease._replace(expires_at=self._clock() + seconds)
            connection.execute(self._sql["put_lease"], (*renewed, self._back(renewed)))
        return renewed

    def release(self, lease: Lease) -> None:
        """See the port. The row stays, expired for ever, so that the next epoch is a newer one."""
        with self._database.transaction() as connection:
            row = connection.execute(self._sql["lease_by_time"], (lease.name,)).fetchone()
            if row is not None and row[2] == lease.epoch:
                connection.execute(self._sql["put_lease"], (*row[:3], 0.0, ""))
        self._locks.drop(_lock(lease.name, lease.epoch), lease.owner)

    def lease(self, name: str) -> Lease | None:
        """See the port."""
        for row in self._database.read(self._sql["lease"], (name,)):
            return Lease(*row)
        return None

    def check(self, connection: sqlite3.Connection, fence: Lease) -> None:
        """Raise `LeaseLostError` when there is a newer epoch than the fence's."""
        held = connection.execute(self._sql["lease_by_time"], (fence.name,)).fetchone()
        if held is not None and held[2] > fence.epoch:
            raise _lost(fence, Lease(*held))

    def claim(self, name: str, owner: str) -> bool:
        """See the port."""
        try:
            return self._locks.take(name, owner)
        except OSError:
            return True  # the kernel has no lock left: two may do the same work

    def unclaim(self, name: str, owner: str) -> None:
        """See the port."""
        self._locks.drop(name, owner)

    def close(self) -> None:
        """Free every lock: what is still held counts as left by its owner."""
        self._locks.close()

    def _back(self, lease: Lease) -> str:
        """Take the lease's lock; gives what its row says of that."""
        try:
            if self._locks.take(_lock(lease.name, lease.epoch), lease.owner):
                return _backing(lease.epoch, self._locks)
        except OSError:
            pass
        return ""  # held by another object of the same owner, or there is none: time decides


def _lock(name: str, epoch: int) -> str:
    return f"{name}#{epoch}"


def _backing(epoch: int, locks: Locks) -> str:
    """The epoch stands in it because a version of core that knows no locks leaves the column as it was."""
    backing = locks.backing()
    return f"{epoch}:{backing}" if backing else ""


def _lost(lease: Lease, newer: Lease | None) -> LeaseLostError:
    whose = f"{newer.owner!r} holds epoch {newer.epoch} by now" if newer else "nobody holds it any more"
    return LeaseLostError(
        f"{lease.owner!r} lost its lease on {lease.name!r} (epoch {lease.epoch}): {whose}",
        "nothing was written; another process goes on with the run, so this one must stop",
    )
