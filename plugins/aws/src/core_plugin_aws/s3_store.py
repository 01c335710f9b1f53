"""The `s3` artifact store: the fsspec store over s3fs; renewed credentials, parts, encryption, one request a read."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec.asyn import sync

from core.builtin.stores.fsspec import FsspecArtifactStore
from core.builtin.stores.retry import Patience, chain
from core.builtin.stores.trouble import store_error
from core.errors import CoreError, NotFoundError, StoreError
from core.ports.artifact_store import Named, check_name
from core_plugin_aws.reading import Reader
from core_plugin_aws.trouble import asked, aws_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import BinaryIO

BINARY = "application/octet-stream"


class S3ArtifactStore(FsspecArtifactStore):
    """Keeps the blob `abcd...` as the object `PREFIX/a/bcd...` of the bucket; objects appear whole or not at all."""

    flavor: ClassVar[str] = "s3"
    Settings: ClassVar[Any] = "core_plugin_aws.settings:S3Settings"
    resource_type: ClassVar[str] = "s3-bucket"
    remote: ClassVar[bool] = True

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.root.partition("/")[0]

    def resource_id(self) -> str:
        """The bucket, without the prefix: what a connector calls it."""
        return f"s3://{self.bucket}"

    def _begin(self) -> str:
        """The root alone: the file system comes with the first use, when the credentials are known."""
        return self.uri.partition("://")[2]

    def _protocols(self) -> set[str]:
        return {"s3"}

    def _in_threads(self) -> bool:
        return True

    @property
    def fs(self) -> Any:
        """This process's own s3fs: neither its event loop nor its connections survive a fork."""
        if self._process != os.getpid():
            self._fs, self._process = self._connect(), os.getpid()
        return self._fs

    def _connect(self) -> Any:
        from core_plugin_aws.s3_files import (  # the SDK: only who reads or writes needs it
            SLOWEST,
            PatientS3,
            lent_session,
        )

        wanted = self.settings
        lent = self._lent().values if self.credentials is not None else {}
        endpoint = wanted.endpoint_url or lent.get("endpoint_url") or None
        region = wanted.region or lent.get("region") or None
        extra = {"ServerSideEncryption": wanted.server_side_encryption, "SSEKMSKeyId": wanted.kms_key_id}
        options: dict[str, Any] = {
            "session": lent_session(self._lent) if self.credentials is not None else None,
            "endpoint_url": endpoint,
            "client_kwargs": {"region_name": region} if region else {},
            "config_kwargs": {
                "retries": {"total_max_attempts": 1, "mode": "standard"},
                "max_pool_connections": 64,
                "read_timeout": wanted.request_timeout + wanted.part_size / SLOWEST,  # ours is sooner, and says why
            },
            "s3_additional_kwargs": {key: value for key, value in extra.items() if value},
            "default_block_size": wanted.part_size,
            "use_listings_cache": False,
        }
        for name, value in wanted.storage_options.items():
            mine = options.get(name)
            options[name] = {**mine, **value} if isinstance(mine, dict) and isinstance(value, dict) else value
        return PatientS3(
            patience=self.patience, request_timeout=wanted.request_timeout, skip_instance_cache=True, **options
        )

    def _lent(self) -> Any:
        if self.credentials is None:
            raise StoreError(f"artifact store {self.uri!r} has no connector", "`core artifact-store connect` links one")
        return self.credentials()

    def open(self, digest: str) -> BinaryIO:
        """The blob: up to 8 MiB in one request, the rest in parts that travel side by side."""
        key = self.key(digest).partition("/")[2]
        bucket, fetch = self.bucket, self.fs.range
        try:
            return Reader(lambda at, length: fetch(bucket, key, at, length), self.fs.loop, self._trouble).opened()
        except FileNotFoundError as error:
            self._no_bucket(error)
            raise NotFoundError(f"artifact {digest} is not in {self.uri}") from None

    def _no_bucket(self, error: BaseException) -> None:
        """Raise when it is the bucket that is missing, not the object."""
        if any("NoSuchBucket" in str(getattr(one, "response", "")) for one in chain(error)):
            raise self._trouble("read from", error) from error

    def exists(self, digest: str) -> bool:
        """Whether the blob is published: one request."""
        key = self.key(digest).partition("/")[2]
        try:
            self._run("read from", lambda: self.fs._call_s3("head_object", Bucket=self.bucket, Key=key))
        except FileNotFoundError:
            return False
        return True

    def delete(self, digest: str) -> None:
        """Remove the object; none there is fine."""
        key = self.key(digest).partition("/")[2]
        try:
            self._run("delete from", lambda: self.fs._call_s3("delete_object", Bucket=self.bucket, Key=key))
        except FileNotFoundError as error:  # S3 removes what is not there: it is the bucket
            raise self._trouble("delete from", error) from error

    def publish(self, file: str, digest: str) -> None:
        """Send a local file, in parts if it is large; a failed upload is aborted and was never visible."""
        from core_plugin_aws.s3_files import CONCURRENCY  # the SDK: as above

        options = {"chunksize": self.settings.part_size, "max_concurrency": CONCURRENCY, "ContentType": BINARY}
        try:
            self._run("write to", lambda: self.fs._put_file(file, self.key(digest), **options))
        except FileNotFoundError as error:
            raise self._trouble("write to", error) from error
        if os.path.getsize(file) >= 2 * self.settings.part_size and not self.exists(digest):
            raise StoreError(f"artifact store {self.uri!r} lost the upload of {digest}", "run the step again")

    def names(self, folder: str) -> Iterator[Named]:
        """Every object below the folder: one request lists a thousand, and one tells that there is none."""
        base = self.root.partition("/")[2]
        base = f"{base}/" if base else ""
        token: dict[str, str] = {}
        while True:
            options = {"Bucket": self.bucket, "Prefix": f"{base}{'/'.join(check_name(folder))}/", **token}
            try:
                page = self._run("list", lambda options=options: self.fs._call_s3("list_objects_v2", **options))  # type: ignore[misc]
            except FileNotFoundError as error:  # the bucket is not there
                raise self._trouble("list", error) from error
            for each in page.get("Contents", ()):
                yield Named(each["Key"][len(base) :], int(each["Size"]), each["LastModified"].timestamp())
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def tidy(self, before: float, *, dry_run: bool = False) -> int:
        """Abort uploads in parts that began before `before` and never ended: their parts cost money, unseen."""
        limit, count = datetime.fromtimestamp(before, UTC), 0
        prefix = self.root.partition("/")[2]
        prefix = f"{prefix}/" if prefix else ""
        marker: dict[str, str] = {}
        while True:
            options = {"Bucket": self.bucket, "Prefix": prefix, **marker}
            page = self._run("list", lambda options=options: self.fs._call_s3("list_multipart_uploads", **options))  # type: ignore[misc]
            for upload in page.get("Uploads", ()):
                if upload["Initiated"] < limit:
                    count += 1
                    if not dry_run:
                        self._abort(upload["Key"], upload["UploadId"])
            if not page.get("IsTruncated"):
                return count
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _abort(self, key: str, upload: str) -> None:
        try:
            options = {"Bucket": self.bucket, "Key": key, "UploadId": upload}
            self._run("delete from", lambda: self.fs._call_s3("abort_multipart_upload", **options))
        except FileNotFoundError:
            return  # it ended meanwhile

    def verify(self) -> None:
        """Ask whether the bucket is there and may be read: one request, tried again for ten seconds at most."""
        self.fs.patience = Patience(min(10.0, self.patience.seconds))
        try:
            asked(f"use the bucket {self.bucket!r}", lambda: sync(self.fs.loop, self.fs.look, self.bucket))
        finally:
            self.fs.patience = self.patience

    def _run(self, doing: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """The result of a coroutine on s3fs's loop; raises `FileNotFoundError`, and `StoreError` for all else."""
        try:
            return sync(self.fs.loop, _awaiting, work)
        except (FileNotFoundError, CoreError):
            raise
        except Exception as error:  # border of a library
            raise self._trouble(doing, error) from error

    def _trouble(self, doing: str, error: BaseException) -> StoreError:
        """The `StoreError` in AWS's words: which permission is missing, what has expired, what to do."""
        if isinstance(error, StoreError):
            return error
        if isinstance(error, asyncio.TimeoutError):
            return store_error(self.uri, doing, TimeoutError(SLOW))
        known = error if isinstance(error, CoreError) else aws_error(f"{doing} {self.uri}", error)
        return StoreError(f"cannot {doing} artifact store {self.uri!r}: {known.message}", known.hint)

    def close(self) -> None:
        """Close the connections."""
        if self._fs is not None and self._process == os.getpid():
            fs, self._fs, self._process = self._fs, None, 0
            if fs._s3 is not None:
                fs.close_session(fs.loop, fs._s3creator)


SLOW = "S3 answered too slowly: less than 64 KiB a second after the time that the setting `request_timeout` allows"


async def _awaiting(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()
