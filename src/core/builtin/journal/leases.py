"""Leases as objects: an epoch is taken by being the first to write its object, and renewed by writing it again.

The store need offer one thing only: to write an object if it is not there yet (`If-None-Match`, and what other clouds
call it). Where it can't, two that take over a lease in the same moment may both believe to hold it, in the same epoch:
events are then ranked by seq and writer, and nothing is lost. An owner that lost its lease hears of it at its next
renewal or append; what it writes until then has the lower epoch, which readers rank behind.
"""

from __future__ import annotations

import json
import os
import time
from math import isfinite

from core.builtin.journal.layout import CLOCK, OVER, lease_folder, sort, spelled
from core.errors import ConflictError, LeaseLostError, NotFoundError
from core.ports.tracking_store import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.builtin.journal.layout import LeaseMark
    from core.ports.artifact_store import ArtifactStore

GRAIN = 2.0
"""Seconds by which the times of a store may be off: many tell whole seconds only."""
LONGEST = 86400.0
"""Seconds that a lease is believed to last, at most, when its end can't be right."""


class JournalClock:
    """The store's clock, as far as its times of what we wrote tell it; before that, this machine's (`wall`).

    A wrong clock of this machine does no harm: the difference is learned with every lease that is written, and anew
    before a lease of others is judged, for the clock may have been set meanwhile.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.wall = wall
        self.offset = 0.0
        """Seconds that the store is ahead."""

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self.wall() + self.offset

    def learn(self, sent: float, modified: float) -> None:
        """An object that was written at `sent` by this machine's clock has this time in the store."""
        if abs(modified - sent - self.offset) > GRAIN:
            self.offset = modified - sent


class JournalLeases:
    """Leases in the journal that lies in `area`."""

    def __init__(self, area: ArtifactStore, clock: JournalClock) -> None:
        self._area = area
        self._clock = clock
        self._sent: dict[str, float] = {}  # by object: when it was written, by this machine's clock

    def first(self, name: str, owner: str, seconds: float, epoch: int = 0) -> Lease:
        """Take a lease that nobody had before, in one request; raises `ConflictError` if somebody did."""
        lease = Lease(name, owner, max(epoch, 1), self._clock() + seconds)
        if not self._write(lease, seconds, new=True):
            self._refuse_taken(lease, seconds)
        return lease

    def acquire(self, name: str, owner: str, seconds: float, epoch: int = 0, *, dead: str = "") -> Lease:
        """See the port. What the owner `dead` holds is free: the caller knows that it is no more."""
        mark = self._newest(name)
        held = self.read(name, mark)
        if mark is not None and held is not None:
            if held.owner not in (owner, dead) and not mark.over:
                self._refuse_alive(held)
            epoch = max(epoch, held.epoch + (held.owner != owner))
        lease = Lease(name, owner, max(epoch, 1), self._clock() + seconds)
        again = held is not None and held.epoch == lease.epoch
        if not self._write(lease, seconds, new=not again):
            self._refuse_taken(lease, seconds)
        if again and mark is not None and mark.over:
            self._area.remove(f"{mark.name}{OVER}")
        newest = self._newest(name)  # tells the store's clock, too
        if newest is not None and newest.epoch > lease.epoch:
            raise _held(lease._replace(owner="another"), seconds)
        return lease

    def _refuse_taken(self, lease: Lease, seconds: float) -> None:
        taken = self.lease(lease.name)
        if taken is None or taken[:3] != lease[:3]:  # else an answer was lost, and it was written all the same
            raise _held(taken or lease, seconds)

    def _refuse_alive(self, held: Lease) -> None:
        """Raise `ConflictError` unless a lease has run out, by the store's clock and not by ours."""
        self.ask_time(held.name)
        left = held.expires_at - self._clock()
        if left > 0:
            raise _held(held, left)

    def ask_time(self, name: str) -> None:
        """Learn the store's clock, by an object that is written beside the lease `name`: three requests."""
        probe = f"{lease_folder(name)}/{CLOCK}{os.urandom(6).hex()}"
        sent = self._clock.wall()
        self._area.write(probe, b"{}")
        for each in self._area.names(lease_folder(name)):
            if each.name == probe:
                self._clock.learn(sent, each.modified)
        self._area.remove(probe)

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """See the port: a listing and a write."""
        mark = self._newest(lease.name)
        if mark is None or mark.epoch != lease.epoch or mark.over:
            raise _lost(lease, mark)
        renewed = lease._replace(expires_at=self._clock() + seconds)
        self._write(renewed, seconds)
        return renewed

    def release(self, lease: Lease) -> None:
        """See the port."""
        mark = self._newest(lease.name)
        if mark is not None and mark.epoch == lease.epoch:
            self._area.write(f"{mark.name}{OVER}", b"{}")

    def lease(self, name: str) -> Lease | None:
        """See the port."""
        return self.read(name, self._newest(name))

    def check(self, fence: Lease) -> None:
        """Raise `LeaseLostError` when there is a newer epoch than the fence's."""
        mark = self._newest(fence.name)
        if mark is not None and mark.epoch > fence.epoch:
            raise _lost(fence, mark)

    def read(self, name: str, mark: LeaseMark | None) -> Lease | None:
        """The lease that a listing told of. What is there and can't be read is held by nobody, in its epoch."""
        if mark is None:
            return None
        try:
            told = json.loads(self._area.read(mark.name))
            owner, seconds, until = str(told["owner"]), float(told["seconds"]), float(told["until"])
        except (NotFoundError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return Lease(name, "", mark.epoch, 0.0)
        if not (isfinite(seconds) and isfinite(until)):
            return Lease(name, "", mark.epoch, 0.0)
        if abs(until - seconds - mark.modified) > GRAIN:
            until = mark.modified + min(seconds, LONGEST)  # its writer did not know the store's clock
        return Lease(name, owner, mark.epoch, 0.0 if mark.over else until)

    def _write(self, lease: Lease, seconds: float, *, new: bool = False) -> bool:
        name = f"{lease_folder(lease.name)}/{lease.epoch}"
        told = {"owner": lease.owner, "seconds": seconds, "until": lease.expires_at}
        self._sent[name] = self._clock.wall()
        return self._area.write(name, json.dumps(told).encode(), new=new)

    def _newest(self, name: str) -> LeaseMark | None:
        mark = sort(self._area.names(lease_folder(name))).leases.get(spelled(name))
        if mark is not None and mark.name in self._sent:
            self._clock.learn(self._sent[mark.name], mark.modified)
        return mark


def _held(lease: Lease, seconds: float) -> ConflictError:
    return ConflictError(
        f"{lease.name!r} is held by {lease.owner!r} for another {seconds:.0f} s",
        "wait until its owner ends or falls silent",
    )


def _lost(lease: Lease, mark: LeaseMark | None) -> LeaseLostError:
    whose = f"epoch {mark.epoch} is the newest by now" if mark and not mark.over else "nobody holds it any more"
    return LeaseLostError(
        f"{lease.owner!r} lost its lease on {lease.name!r} (epoch {lease.epoch}): {whose}",
        "nothing was written; another process goes on with the run, so this one must stop",
    )
