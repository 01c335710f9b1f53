"""What a driver and one job alone know: reports of others are told from the job's own, credentials that come later."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from core.builtin.stores.local import LocalArtifactStore
from core.errors import InfrastructureError, StoreError
from core.model.event import Event, EventKind
from core.pact import Lent, genuine, key_of, mac_of, place_of, seal, unseal
from core.ports.service_connector import Credentials

if TYPE_CHECKING:
    from pathlib import Path

JOB = "0197/train/1"
KEY = key_of(b"secret of the home", JOB)
DATA = {"state": "completed", "outputs": {"a": {"size": 1}}, "seconds": 0.1 + 0.2, "odd": [float("inf"), "\ud800"]}


def event(**data: object) -> Event:
    return Event("0197", "train", 1, "w", 3, EventKind.ATTEMPT_RETURNED, 1.0, 2, dict(data))


def test_only_who_knows_the_key_can_sign() -> None:
    signed = event(**DATA, mac=mac_of(KEY, "0197", "train", 1, EventKind.ATTEMPT_RETURNED, DATA))
    read = Event._make(json.loads(json.dumps(signed)))
    assert genuine(KEY, read, read.data)
    for forged in (
        read._replace(data={**read.data, "state": "failed"}),
        read._replace(attempt=2),
        read._replace(step="other"),
        read._replace(kind=EventKind.CHECKPOINT),
        event(**DATA),
        event(**DATA, mac=None),
        event(**DATA, mac=mac_of(key_of(b"another home", JOB), "0197", "train", 1, EventKind.ATTEMPT_RETURNED, DATA)),
    ):
        assert not genuine(KEY, forged, forged.data)


def given(seconds: float, token: str) -> Credentials:
    return Credentials("s3-bucket", "", {"word": token}, time.time() + seconds)


def test_what_is_sealed_only_the_job_opens() -> None:
    first = given(60, "the-first-token")
    data = seal(KEY, JOB, first)
    assert b"the-first-token" not in data
    assert unseal(KEY, JOB, data) == first
    assert unseal(key_of(b"another home", JOB), JOB, data) is None
    assert unseal(KEY, "0197/train/2", data) is None
    assert unseal(KEY, JOB, b"short") is None


def test_a_job_takes_what_its_driver_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.pact.PAUSE", 0.0)
    store = LocalArtifactStore(str(tmp_path))
    lent = Lent(given(0.2, "the-first-token"), store, JOB, KEY)
    assert lent().values["word"] == "the-first-token"
    store.write(place_of(JOB), b"what somebody else wrote")
    assert lent().values["word"] == "the-first-token"
    store.write(place_of(JOB), seal(KEY, JOB, given(3600, "the-second-token")))
    assert lent().values["word"] == "the-second-token"
    store.remove(place_of(JOB))
    assert lent().values["word"] == "the-second-token"


def test_a_job_says_why_it_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.pact.PAUSE", 0.0)
    store = LocalArtifactStore(str(tmp_path))
    with pytest.raises(InfrastructureError, match="and the driver of the run has left no new ones"):
        Lent(given(-1, "the-first-token"), store, JOB, KEY)()
    with pytest.raises(InfrastructureError, match="and nobody renews them here"):
        Lent(given(-1, "the-first-token"), store)()

    def away(name: str) -> bytes:
        raise StoreError(f"{name} is away", "wait")

    monkeypatch.setattr(store, "read", away)
    lent = Lent(given(0.1, "the-first-token"), store, JOB, KEY)
    lent()
    time.sleep(0.1)
    with pytest.raises(InfrastructureError, match=r"and new ones can't be read: keys/.* is away"):
        lent()
