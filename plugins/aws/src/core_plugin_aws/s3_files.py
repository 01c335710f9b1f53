"""s3fs with one place that tries again: each request has a time limit; botocore and s3fs themselves never retry."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore.credentials import ReadOnlyCredentials
from s3fs import S3FileSystem

from core.builtin.stores.retry import Patience, chain, code_of, status_of
from core_plugin_aws.shared import sharing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.ports.service_connector import Credentials

SLOWEST = 64 * 1024
"""Bytes a second that a request must reach at least."""
PIECE = 1 << 20
"""Bytes of an answer that are taken at once, at most."""
CONCURRENCY = 4
"""Parts of one artifact that travel at the same time."""
MARK = "core-writer"
"""Metadata of an object that must be new: tells one's own first try, whose answer was lost, from somebody else's."""
FRESH = 60.0
"""Seconds of life up to which credentials are asked for again before each request."""


class PatientS3(S3FileSystem):  # type: ignore[misc]
    """Each request is tried again alone: a part that failed does not send the others anew."""

    retries = 1

    def __init__(self, *words: Any, patience: Patience, request_timeout: float = 60.0, **options: Any) -> None:
        super().__init__(*words, **options)
        self.patience = patience
        self.request_timeout = request_timeout

    async def _call_s3(self, method: str, *words: Any, **options: Any) -> Any:
        tries = 0
        usual = super()._call_s3
        mark = uuid4().hex if "IfNoneMatch" in options else ""
        if mark:
            options["Metadata"] = {**options.get("Metadata", {}), MARK: mark}
        body = options.get("Body", b"")
        seconds = (
            self.request_timeout + (len(body) if isinstance(body, bytes | bytearray | memoryview) else 0) / SLOWEST
        )

        async def once() -> Any:
            nonlocal tries
            tries += 1
            return await asyncio.wait_for(usual(method, *words, **options), seconds)

        try:
            return await self.patience.call_async(once)
        except FileNotFoundError:
            if method == "complete_multipart_upload" and tries > 1:
                return {}  # the first try came through, only its answer was lost; `publish` looks whether it is there
            raise
        except OSError as error:
            there = any(code_of(one) == "PreconditionFailed" for one in chain(error))
            if mark and there and await self._wrote(options["Bucket"], options["Key"], mark):
                return {}  # the same; aiohttp too sends a request again that a connection swallowed
            if method == "head_object" and any(status_of(one) in {400, 403} for one in chain(error)):
                await self.look(options["Bucket"])  # an answer to HEAD has no body; this one tells why
            raise

    async def look(self, bucket: str) -> None:
        """Ask for one name in the bucket: the cheapest answer that tells wrong keys from a missing permission."""
        await self._call_s3("list_objects_v2", Bucket=bucket, MaxKeys=1)

    async def _wrote(self, bucket: str, key: str, mark: str) -> bool:
        """Whether the object is the one that we marked so."""
        found = await self._call_s3("head_object", Bucket=bucket, Key=key)
        return bool(found.get("Metadata", {}).get(MARK) == mark)

    async def range(self, bucket: str, key: str, start: int, length: int) -> tuple[bytearray, int]:
        """Up to `length` bytes from `start` on, and how many the object has; a broken answer goes on where it broke.

        Raises `FileNotFoundError`.
        """
        data, size = bytearray(), 0

        async def once() -> None:
            nonlocal size
            if size and len(data) == min(length, size - start):
                return  # only its end broke
            part = f"bytes={start + len(data)}-{start + length - 1}"
            async with asyncio.timeout(self.request_timeout) as clock:
                answer = await S3FileSystem._call_s3(self, "get_object", Bucket=bucket, Key=key, Range=part)
                size = int(answer.get("ContentRange", "").rpartition("/")[2] or answer["ContentLength"])
                async with answer["Body"] as stream:
                    while piece := await stream.read(PIECE):
                        data.extend(piece)
                        clock.reschedule((clock.when() or 0.0) + len(piece) / SLOWEST)

        try:
            await self.patience.call_async(once)
        except OSError as error:
            if start == 0 and any(code_of(one) in {"InvalidRange", "416"} for one in chain(error)):
                return data, 0  # it is empty
            raise
        return data, size

    async def _cat_file(self, path: str, version_id: Any = None, start: Any = None, end: Any = None, **_: Any) -> bytes:
        """Whole objects in one request, and tried again also when the answer breaks off."""
        if start is not None or end is not None or version_id is not None:
            return await super()._cat_file(path, version_id=version_id, start=start, end=end)  # type: ignore[no-any-return]
        bucket, key, _ = self.split_path(path)

        async def once() -> bytes:
            answer = await S3FileSystem._call_s3(self, "get_object", Bucket=bucket, Key=key)
            async with answer["Body"] as stream:
                return bytes(await stream.read())

        return await self.patience.call_async(once)


class LentCredentials(AioCredentials):  # type: ignore[misc]
    """Credentials of a service connector: asked for again in time, so that a long run outlives them."""

    def __init__(self, ask: Callable[[], Credentials]) -> None:
        super().__init__("", "", method="core")
        self._ask = ask
        self._lent: Credentials | None = None

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """What is valid now. A renewal waits in a thread: other requests go on."""
        lent = self._lent
        if lent is None or (lent.expires_at is not None and lent.expires_at - _now() < FRESH):
            lent = self._lent = await asyncio.to_thread(self._ask)
        values = lent.values
        return ReadOnlyCredentials(
            values["access_key_id"], values["secret_access_key"], values.get("session_token") or None
        )


def lent_session(ask: Callable[[], Credentials]) -> AioSession:
    """A session of aiobotocore that signs with what `ask()` gives."""
    session = sharing(AioSession())
    session._credentials = LentCredentials(ask)
    return session


def _now() -> float:
    return datetime.now(UTC).timestamp()
