"""What the driver and the job of one attempt alone know: a key, told in the bundle.

By it the driver knows that a report is the job's own, and not of somebody else who can write to the store; and under it
the driver leaves new credentials there, which nobody else can open.
"""

from __future__ import annotations

import json
import os
import threading
import time
from _operator import _compare_digest as same  # `hmac` brings OpenSSL: start-up time

from blake3 import blake3

from core.errors import CoreError, InfrastructureError, NotFoundError
from core.mask import add_secret
from core.ports.service_connector import Credentials
from core.text import iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.ports.artifact_store import ArtifactStore

FRESH = 60.0
"""Seconds of life up to which new credentials are looked for."""
PAUSE = 2.0
"""Seconds between two looks for them."""
_NONCE = 12


def key_of(secret: bytes, job: str) -> bytes:
    """The key of a job's, from the secret of the home that launches it."""
    return blake3(job.encode(), key=blake3(secret).digest()).digest()


def mac_of(key: bytes, run: str, step: str, attempt: int, kind: str, data: Mapping[str, Any]) -> str:
    """What only who knows the key can say of an event."""
    plain = json.loads(json.dumps(data))  # as others read it
    text = json.dumps([run, step, attempt, str(kind), plain], sort_keys=True)
    return blake3(text.encode(), key=key).hexdigest()


def genuine(key: bytes, event: tuple[Any, ...], data: Mapping[str, Any]) -> bool:
    """Whether an event, of which the first fields and the data are given, was written by who knows the key."""
    run, step, attempt, _, _, kind = event[:6]
    told = dict(data)
    mac = told.pop("mac", "")
    return isinstance(mac, str) and mac.isascii() and same(mac, mac_of(key, run, step, attempt, kind, told))


def place_of(job: str) -> str:
    """Name of the object with a job's new credentials."""
    run, _, rest = job.partition("/")
    return f"keys/{blake3(run.encode()).hexdigest(16)}/{blake3(rest.encode()).hexdigest(16)}"


def seal(key: bytes, job: str, credentials: Credentials) -> bytes:
    """Credentials that only the job can open."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # start-up time: 30 ms

    nonce, text = os.urandom(_NONCE), json.dumps(credentials.to_data())
    return nonce + AESGCM(key).encrypt(nonce, text.encode(), job.encode())


def unseal(key: bytes, job: str, data: bytes) -> Credentials | None:
    """What `seal` gave; None for what is not for this job."""
    from cryptography.exceptions import InvalidTag  # start-up time: few jobs live so long
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # start-up time: the same

    try:
        text = AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], job.encode())
    except (InvalidTag, ValueError):
        return None
    return Credentials(**json.loads(text))


class Lent:
    """Credentials of the artifact store inside a job: those that it was told, then those that the driver leaves there.

    Any thread may call it; while one looks for new ones, with the old ones, the others go on with those.
    """

    def __init__(self, given: Credentials, store: ArtifactStore, job: str = "", key: bytes = b"") -> None:
        """Without a key nobody leaves new ones."""
        self._given, self._store, self._job, self._key = given, store, job, key
        self._busy = threading.Lock()
        self._looked = 0.0
        left = "the driver of the run has left no new ones: it has ended, or can't reach the store"
        self._why = left if key else "nobody renews them here"
        self._learn(given)

    def __call__(self) -> Credentials:
        """Credentials that are valid now. Raises `InfrastructureError` that says why there are none."""
        ends = self._given.expires_at
        if ends is None or ends - time.time() > FRESH:
            return self._given
        due = ends > time.time() and time.monotonic() - self._looked >= PAUSE  # what has ended opens nothing
        if self._key and due and self._busy.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looked = time.monotonic()
                self._busy.release()
        ends = self._given.expires_at
        if ends is not None and ends < time.time() and not self._busy.locked():
            raise InfrastructureError(
                f"credentials of artifact store {self._store.uri!r} ended at {iso(ends)}, and {self._why}",
                "with a connector that gives them for longer, or a driver that lives, it would go on",
            )
        return self._given

    def _look(self) -> None:
        try:
            found = unseal(self._key, self._job, self._store.read(place_of(self._job)))
        except NotFoundError:
            return
        except CoreError as error:
            self._why = f"new ones can't be read: {error.message}"
            return
        if found is not None and (found.expires_at is None or found.expires_at > (self._given.expires_at or 0.0)):
            self._learn(found)
            self._given = found

    def _learn(self, credentials: Credentials) -> None:
        for value in credentials.secrets():
            add_secret(value)
