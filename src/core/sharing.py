"""Between this home and others who share the stack's artifact store: their runs and logs come here, ours go there."""

from __future__ import annotations

from core.builtin.journal.layout import LEASE, folder_of
from core.builtin.journal.logs import Courier, fetch, log_folder
from core.builtin.journal.notes import read_note, replay_notes
from core.builtin.journal.sync import Exchange
from core.logs import stem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.builtin.journal.sync import Synced
    from core.model.event import Event
    from core.ports.artifact_store import ArtifactStore
    from core.ports.tracking_store import TrackingStore


class Sharing:
    """One home (`tracking`, folders of `logs` and of `notes`) and one shared `store`."""

    def __init__(self, tracking: TrackingStore, store: ArtifactStore, logs: str, notes: str) -> None:
        self._tracking, self._store, self._logs, self._notes = tracking, store, logs, notes

    def sync(self, run: str | None = None) -> Synced:
        """Bring runs of others into this home, or one of them; what this home's own could not bring there goes now."""
        exchange = Exchange(self._store, self._tracking)
        if run is None:
            replay_notes(exchange, self._notes)
        return exchange.sync(run)

    def unknown(self) -> list[Event]:
        """Events of runs in the journal that this home does not have, such as those that it forgot.

        Raises `CorruptDataError` for an object that can't be used: nobody can tell what it would say.
        """
        return Exchange(self._store, self._tracking).unknown()

    def forget(self, run: str) -> None:
        """Remove the events and logs of a run there; its lease stays: an owner that wakes is kept out all the same."""
        for folder in (folder_of(run), log_folder(run)):
            for each in list(self._store.names(folder)):
                if each.name.split("/")[2] != LEASE:
                    self._store.remove(each.name)

    def elsewhere(self, run: str) -> bool:
        """Whether somebody else than a living process of this home may be at `run`."""
        lease = self._tracking.lease(run)
        here = read_note(self._notes, run) is not None
        return not here or lease is None or lease.expires_at < self._tracking.now()

    def fetch_logs(self, run: str, attempts: Iterable[tuple[str, int]]) -> None:
        """Bring what others have of the logs of attempts (step and number): one listing, and what is new."""
        fetch(self._store, run, f"{self._logs}/{run}", [stem(step, number) for step, number in attempts])

    def courier(self, run: str, taken: bool) -> Courier:  # noqa: FBT001 - see `Conditions.courier`
        """Carries the logs of a run of this home there."""
        return Courier(self._store, run, f"{self._logs}/{run}", taken=taken)
