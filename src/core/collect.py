"""Garbage: runs past their time, artifacts that no kept run names, uploads and logs that nobody finishes."""

from __future__ import annotations

import os
import shutil
import time

from core.errors import StoreError
from core.model.event import EventKind
from core.model.states import RunState
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from core.model.event import Event
    from core.ports.artifact_store import ArtifactStore, Blob
    from core.ports.tracking_store import RunRow, TrackingStore

DAY = 86_400.0
"""Seconds for which nothing new is taken for garbage: a run at work writes artifacts before it records them."""


class Garbage(Value):
    """What can go, and why the rest stays."""

    runs: tuple[RunRow, ...]
    """Runs that are forgotten."""
    blobs: tuple[Blob, ...]
    """Artifacts that no kept run names."""
    uploads: int
    """Half-written files older than a day."""
    logs: tuple[str, ...]
    """Folders of logs of runs that are not there."""
    kept: int
    """Runs that stay."""
    held: int
    """Of these, runs that somebody holds."""
    at_work: int
    """Of these, runs that are at work: what they might reuse stays until a later time."""

    @property
    def size(self) -> int:
        """Bytes of the artifacts."""
        return sum(blob.size for blob in self.blobs)


def find(
    tracking: TrackingStore,
    store: ArtifactStore,
    logs: str,
    *,
    older_than: float | None = None,
    keep: int = 1,
    others: Collection[str] | None = None,
) -> Garbage:
    """What is garbage now.

    Runs that ended more than `older_than` seconds ago go (None: no run goes), but not those that are held, nor the
    newest `keep` completed ones of each pipeline. In a store that others use, too, only what no run needs goes, here or
    elsewhere: `others` are digests that runs need which this home does not have.
    """
    now = tracking.now()
    rows = tracking.runs(limit=None)
    held = set()
    named: dict[str, set[str]] = {}
    for row in rows:
        events = tracking.events(row.id)
        named[row.id] = set(digests(events, checkpoints=row.state != RunState.COMPLETED))
        if is_held(events):
            held.add(row.id)
    at_work = sum(row.state == RunState.RUNNING for row in rows)
    gone = {row.id: row for row in _expired(rows, held, now, older_than, keep)}
    # A run at work may be about to reuse what a run that is forgotten now has made.
    stay = named.values() if at_work or others is not None else (of for run, of in named.items() if run not in gone)
    reachable = set().union(*stay, others or ())
    before = now - DAY
    blobs = tuple(blob for blob in store.list() if blob.digest not in reachable and blob.modified < before)
    left = {row.id for row in rows}
    folders = [name for name in _names(logs) if name not in left and _older(os.path.join(logs, name), before)]
    uploads = store.tidy(before, dry_run=True)
    kept = len(rows) - len(gone)
    return Garbage(tuple(gone.values()), blobs, uploads, tuple(folders), kept, len(held), at_work)


def sweep(
    tracking: TrackingStore,
    store: ArtifactStore,
    logs: str,
    garbage: Garbage,
    others: Collection[str] | None = None,
) -> list[str]:
    """Delete it: runs first, so that nothing that is recorded ever lacks its artifacts. Gives what could not be."""
    lease = tracking.acquire("gc", f"gc-{os.getpid():x}-{os.urandom(4).hex()}", 3600.0)
    failed = []
    try:
        for row in garbage.runs:
            tracking.delete_run(row.id)
            shutil.rmtree(os.path.join(logs, row.id), ignore_errors=True)
        fresh = find(tracking, store, logs, others=others)  # what was recorded, reused or written again since stays
        told = {blob.digest for blob in garbage.blobs}
        for blob in [blob for blob in fresh.blobs if blob.digest in told]:
            try:
                store.delete(blob.digest)
            except StoreError as error:
                failed.append(f"{blob.digest}: {error.message}")
        store.tidy(tracking.now() - DAY)
        for name in garbage.logs:
            shutil.rmtree(os.path.join(logs, name), ignore_errors=True)
    finally:
        tracking.release(lease)
    return failed


def is_held(events: Iterable[Event]) -> str:
    """Why somebody holds the run (`yes` when no reason was given); empty when nobody does."""
    wishes = [event for event in events if event.kind == EventKind.RUN_HELD]
    newest = max(wishes, key=lambda event: (event.at, event.writer), default=None)
    if newest is None or not newest.data.get("held"):
        return ""
    return str(newest.data.get("reason") or "yes")


def digests(events: Iterable[Event], *, checkpoints: bool = True) -> Iterator[str]:
    """Artifacts that runs need: outputs, and checkpoints while they may go on."""
    for event in events:
        refs = list(event.data.get("outputs", {}).values())
        if event.kind == EventKind.CHECKPOINT and checkpoints:
            refs.append(event.data["artifact"])
        for ref in refs:
            yield ref["digest"]
            yield from ref.get("parts", ())


def _expired(
    rows: Sequence[RunRow], held: set[str], now: float, older_than: float | None, keep: int
) -> Iterator[RunRow]:
    if older_than is None:
        return
    newest: dict[tuple[str, str], int] = {}
    for row in rows:  # newest first
        if row.state == RunState.COMPLETED:
            count = newest[row.project, row.pipeline] = newest.get((row.project, row.pipeline), 0) + 1
            if count <= keep:
                continue
        ended = row.ended_at or row.started_at
        if row.state != RunState.RUNNING and row.id not in held and ended < now - older_than:
            yield row


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _older(path: str, before: float) -> bool:
    try:
        return os.stat(path).st_mtime < min(before, time.time() - DAY)
    except OSError:
        return False
