"""What a driver believes of what stands beside the artifacts, and what it leaves there."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from core.builtin.journal.store import JournalTrackingStore
from core.builtin.journal.writer import JournalWriter
from core.builtin.stores.local import LocalArtifactStore
from core.builtin.stores.settings import LocalSettings
from core.errors import StoreError
from core.model.event import Event, EventKind
from core.pact import key_of, mac_of, place_of
from core.ports.service_connector import Credentials
from core.schedule.post import Post
from core.schedule.work import Work

if TYPE_CHECKING:
    from pathlib import Path

SECRET, JOB = b"secret of the home", "0197/train/1"
PLAIN = {"state": "completed", "outputs": {}, "seconds": 1.0}
PICKLED = {**PLAIN, "outputs": {"result": {"materializer": "pickle"}}}


def returned(data: dict[str, Any], secret: bytes | None = None) -> Event:
    kind = EventKind.ATTEMPT_RETURNED
    mac = {"mac": mac_of(key_of(secret, JOB), "0197", "train", 1, kind, data)} if secret else {}
    return Event("0197", "train", 1, "w", 0, kind, 1.0, 1, {**data, **mac})


def post_of(*events: Event, trusted: bool = False) -> tuple[Post, Work, list[Event]]:
    """Of a driver that finds `events`; what it makes part of its own record comes into the list."""
    copied: list[Event] = []
    table = SimpleNamespace(named=lambda name: SimpleNamespace(pickles=name == "pickle"))
    store = SimpleNamespace(trusted=trusted, shared=True)
    bench: Any = SimpleNamespace(run="0197", store=store, materializers=table)
    mailbox = SimpleNamespace(events=lambda _run, _step: list(events))
    yard: Any = SimpleNamespace(mailbox=mailbox, secret=SECRET, tracking=SimpleNamespace(append=copied.extend))
    task: Any = SimpleNamespace(node=SimpleNamespace(id="train"), number=1)
    job: Any = SimpleNamespace(id=JOB)
    return Post(bench, yard), Work(task, job, "here", None, None), copied  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "inherited", "trusted", "believed"),
    [
        (returned(PICKLED, SECRET), False, False, True),
        (returned(PLAIN), False, False, False),  # this home launched it, and knows that it signs
        (returned(PLAIN), False, True, False),
        (returned(PLAIN, b"of another home"), True, False, True),
        (returned(PICKLED, b"of another home"), True, False, False),
        (returned(PICKLED, b"of another home"), True, True, True),
    ],
)
def test_whose_word_counts(event: Event, *, inherited: bool, trusted: bool, believed: bool) -> None:
    post, work, copied = post_of(event, trusted=trusted)
    work.inherited = inherited
    assert post.read(work) == (event if believed else None)
    assert copied == [event] * believed
    assert work.doubted == (inherited and not believed)


def test_what_was_left_for_a_job_is_removed_though_the_store_failed() -> None:
    """What failed on the way back was written."""
    post, work, _ = post_of()
    objects: dict[str, bytes] = {}

    def write(name: str, data: bytes) -> None:
        objects[name] = data
        raise StoreError("the store is away", "wait")

    store: Any = post._bench.store
    store.credentials = lambda: Credentials("s3-bucket", "", {"token": "x"}, 2.0)
    store.write, store.remove = write, objects.pop
    post._yard.mailbox.drop = lambda _name: None  # type: ignore[method-assign]
    work.lent = 1.0
    post.lend([work])
    assert (list(objects), work.lent) == ([place_of(JOB)], 1.0)
    post.clear(work)
    assert not objects


def test_what_is_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this very attempt, and for as long as the job says; a store that is away tells of none."""
    post, work, _ = post_of()
    store = LocalArtifactStore(LocalSettings(path=str(tmp_path), shared=True))
    mailbox = JournalTrackingStore(store)
    monkeypatch.setattr(post, "_yard", SimpleNamespace(mailbox=mailbox))
    job = JournalWriter(store)
    job.acquire("attempt:0197/train/2", "another", 60.0)
    assert not post.alive(work)
    lease = job.acquire("attempt:0197/train/1", "job", 0.05)
    time.sleep(0.1)
    assert not post.alive(work)
    job.renew(lease, 60.0)
    assert post.alive(work)

    def gone(_name: str) -> None:
        raise StoreError("the store is away", "wait")

    monkeypatch.setattr(mailbox, "lease", gone)
    assert not post.alive(work)
    mailbox.close()
