"""Files of a home that tell which of its runs are not whole in their journal yet, each called by the run's id."""

from __future__ import annotations

import os

from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.builtin.journal.sync import Exchange


class Note(Value):
    """What such a file tells."""

    uri: str
    """Artifact store that the journal lies in."""
    owner: str
    """Who owned the run when the file was written."""


def write_note(folder: str, run: str, note: Note) -> None:
    """A run begins, or goes on."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, run), "w", encoding="utf-8") as file:
        file.write("\n".join(note))


def read_note(folder: str, run: str) -> Note | None:
    """What is noted of a run; None when nothing is."""
    try:
        with open(os.path.join(folder, run), encoding="utf-8") as file:
            uri, _, owner = file.read().partition("\n")
    except FileNotFoundError:
        return None
    return Note(uri, owner)


def drop_note(folder: str, run: str) -> None:
    """The journal has all of a run."""
    try:
        os.unlink(os.path.join(folder, run))
    except FileNotFoundError:
        return


def replay_notes(exchange: Exchange, folder: str, but: str = "") -> int:
    """Bring to the journal what earlier runs of this home could not, `but` one; gives the number of events."""
    count = 0
    try:
        runs = sorted(os.listdir(folder))
    except FileNotFoundError:
        return 0
    for run in runs:
        if run == but:
            continue
        note = read_note(folder, run)
        lease = exchange.inner.lease(run)
        if note is None or note.uri != exchange.uri or (lease and lease.expires_at > exchange.inner.now()):
            continue  # it has ended meanwhile; it is of another store; its owner is at work, and sees to it
        count += exchange.catch_up(run)
        drop_note(folder, run)
    return count
