"""The journal as a job writes it: events and the sign of its life, and nothing is read of what others wrote."""

from __future__ import annotations

from core.builtin.journal.batch import Batch, pack
from core.builtin.journal.layout import RUNS, batch_name
from core.builtin.journal.leases import JournalClock, JournalLeases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.model.event import Event
    from core.ports.artifact_store import ArtifactStore
    from core.ports.tracking_store import Lease


class JournalWriter:
    """What a `Recorder` asks of a tracking store, without an index: one request an append, beside the fence's."""

    def __init__(self, area: ArtifactStore) -> None:
        self.uri = f"{area.uri}/{RUNS}"
        self._area = area
        leases = JournalLeases(area, JournalClock())
        self.acquire, self.renew, self.release = leases.acquire, leases.renew, leases.release
        self._check = leases.check

    def append(
        self, events: Sequence[Event], fence: Lease | None = None, documents: Mapping[str, str] | None = None
    ) -> None:
        """Publish `events`, all of one run and one writer; the same once more is the same object."""
        if fence is not None:
            self._check(fence)
        if events:
            data = pack(Batch(events, documents or {}))
            self._area.write(batch_name(events[0].run, events[0].writer, events[0].seq, data), data)
