"""The journal as a job writes it: events and the sign of its life, and nothing is read of what others wrote."""

from __future__ import annotations

from core.builtin.journal.batch import publish
from core.builtin.journal.layout import RUNS
from core.builtin.journal.leases import JournalClock, JournalLeases
from core.errors import ConflictError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.model.event import Event
    from core.ports.artifact_store import ArtifactStore
    from core.ports.tracking_store import Lease


class JournalWriter:
    """What a `Recorder` asks of a tracking store, without an index: one request an append, one to take a lease.

    A fence is not looked at with each append: a lease that is lost is heard of when it is renewed, and the driver
    takes the word of one attempt only.
    """

    def __init__(self, area: ArtifactStore) -> None:
        self.uri = f"{area.uri}/{RUNS}"
        self._area = area
        self._leases = JournalLeases(area, JournalClock())
        self.renew, self.release = self._leases.renew, self._leases.release

    def acquire(self, name: str, owner: str, seconds: float, epoch: int = 0) -> Lease:
        """See the port; as a rule nobody had it before."""
        try:
            return self._leases.first(name, owner, seconds, epoch)
        except ConflictError:
            return self._leases.acquire(name, owner, seconds, epoch)

    def append(
        self,
        events: Sequence[Event],
        fence: Lease | None = None,  # noqa: ARG002 - see above
        documents: Mapping[str, str] | None = None,
    ) -> None:
        """Publish `events`, all of one run and one writer; the same once more is the same object."""
        if events:
            publish(self._area, events, documents or {})
