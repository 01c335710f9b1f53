"""One repository of a registry: manifests, blobs, uploads, mounts."""

from __future__ import annotations

import io
import json
from hashlib import sha256
from urllib.parse import urljoin, urlsplit

from core.errors import CorruptDataError, InfrastructureError, NotFoundError
from core.oci.auth import Authorization
from core.oci.http import Http, refusal, told
from core.oci.media import ACCEPT, Blob, Manifest, digest_of
from core.oci.reference import loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, BinaryIO, Self

    from core.oci.http import Answer
    from core.oci.reference import Reference
    from core.ports.container_registry import RegistryLogin

CHUNK = 32 << 20
"""Bytes above which a blob goes up in several requests, each of this size at most."""
WORTH = 1 << 20
"""Bytes above which one asks whether a blob is there, where the registry does not say so by itself."""
_MOST = 16 << 20
"""Bytes that a manifest or a configuration may have."""
_UPLOADS = 3
"""Times that the upload of a blob is begun, at most."""


class Repository:
    """Talks to one repository. Every method raises `AuthenticationError`, `NotAllowedError`, `InfrastructureError`.

    A refused token or password is asked for once more; short outages are waited for.
    """

    def __init__(
        self,
        reference: Reference,
        login: Callable[[], RegistryLogin | None] = lambda: None,
        *,
        insecure: bool = False,
        push: bool = False,
        http: Http | None = None,
        sources: Iterable[str] = (),
    ) -> None:
        """`login` is called when the registry asks who we are; `sources` are repositories that `mount` takes from."""
        self.reference = reference._replace(tag="", digest="")
        self.http = http or Http(reference.host)
        scheme = "http" if insecure or loopback(reference.host) else "https"
        self._base = f"{scheme}://{reference.endpoint}/v2/{reference.repository}/"
        scopes = [f"repository:{reference.repository}:{'pull,push' if push else 'pull'}"]
        scopes += [f"repository:{source}:pull" for source in sources]
        self._authorization = Authorization(reference.host, login, scopes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    # Manifests -------------------------------------------------------------------------------------------------------

    def head(self, version: str) -> str:
        """Digest of the manifest with this tag or digest; empty when there is none."""
        answer = self._ask("HEAD", f"manifests/{version}", headers={"Accept": ACCEPT})
        if answer.status == 404:
            return ""
        self._expect(answer, {200}, f"read {self.reference}:{version}")
        digest = answer.headers.get("Docker-Content-Digest", "")
        return digest or self.manifest(version).digest

    def manifest(self, version: str) -> Manifest:
        """The manifest with this tag or digest, verified; raises `NotFoundError`."""
        doing = f"read {self._named(version)}"
        answer = self._ask("GET", f"manifests/{version}", headers={"Accept": ACCEPT})
        if answer.status == 404:
            raise NotFoundError(
                f"there is no image {self._named(version)}", "check its name and tag, and the login if it is private"
            )
        self._expect(answer, {200}, doing)
        digest = digest_of(answer.data)
        if version.startswith("sha256:") and digest != version:
            raise CorruptDataError(f"{self._named(version)} is not what its digest says", "ask for it again")
        data = json.loads(answer.data)
        kind = answer.headers.get("Content-Type", "").partition(";")[0] or data.get("mediaType", "")
        return Manifest(data, digest, kind)

    def put_manifest(self, data: bytes, media_type: str, *tags: str) -> str:
        """Publish a manifest under its digest, and each of `tags`; gives the digest."""
        digest = digest_of(data)
        for version in tags or (digest,):
            headers = {"Content-Type": media_type}
            answer = self._ask("PUT", f"manifests/{version}", body=data, headers=headers)
            self._expect(answer, {201, 200}, f"push {self._named(version)}")
        return digest

    # Blobs -----------------------------------------------------------------------------------------------------------

    def has(self, digest: str) -> bool:
        """Whether the blob is there."""
        answer = self._ask("HEAD", f"blobs/{digest}")
        if answer.status not in {200, 404}:
            self._expect(answer, {200}, f"look into {self.reference}")
        return answer.status == 200

    def blob(self, blob: Blob) -> bytes:
        """All bytes of a small blob, verified."""
        data = b"".join(self.stream(blob, _MOST))
        if digest_of(data) != blob.digest:
            raise CorruptDataError(f"blob {blob.digest} of {self.reference} is not what its digest says", "pull again")
        return data

    def stream(self, blob: Blob, most: int = 0) -> Iterator[bytes]:
        """The bytes in pieces; more than `most` (when it is not 0) are refused."""
        answer = self._ask("GET", f"blobs/{blob.digest}", preload_content=False)
        self._expect(answer, {200}, f"read blob {blob.digest} of {self.reference}")
        length = 0
        try:
            for piece in answer.stream(1 << 20):
                length += len(piece)
                if most and length > most:
                    raise CorruptDataError(f"blob {blob.digest} of {self.reference} is larger than {most:,} bytes")
                yield piece
        finally:
            answer.release_conn()

    def upload(self, digest: str, file: BinaryIO, size: int) -> None:
        """Send a blob unless it is there: at once, or in chunks when it is large.

        One that broke off goes on, or begins anew.
        """
        doing = f"push a blob of {size:,} bytes to {self.reference}"

        def send() -> None:
            place, sent = self._begin(doing, digest), 0
            if place and size > WORTH and self.has(digest):  # some registries never mount
                self._ask("DELETE", place)
                return
            if not place:
                return
            while size - sent > CHUNK:
                file.seek(sent)
                place, sent = self._chunk(place, file.read(CHUNK), sent, doing)
            file.seek(sent)
            self._finish(place, digest, file.read(), doing)

        _anew(send)

    def upload_bytes(self, data: bytes) -> str:
        """Send a small blob; gives its digest."""
        digest = digest_of(data)
        self.upload(digest, io.BytesIO(data), len(data))
        return digest

    def mount(self, digest: str, source: str) -> bool:
        """Take a blob over from the repository `source` of the same registry; False when the registry won't."""
        answer = self._ask("POST", f"blobs/uploads/?mount={digest}&from={source}", body=b"")
        if answer.status == 201:
            return True
        self._expect(answer, {202, 404}, f"push to {self.reference}")
        if answer.status == 202:
            self._ask("DELETE", self._place(answer))  # it began an upload instead
        return False

    def copy(self, blob: Blob, source: Repository) -> None:
        """Take a blob over from a repository of another registry, in chunks that never touch the disk."""
        doing = f"push a blob of {blob.size:,} bytes to {self.reference}"

        def send() -> None:
            place, sent, held, seen = self._begin(doing), 0, bytearray(), sha256()
            for piece in source.stream(blob):
                seen.update(piece)
                held += piece
                if len(held) > CHUNK:
                    place, sent = self._chunk(place, bytes(held), sent, doing)
                    held.clear()
            if f"sha256:{seen.hexdigest()}" != blob.digest:
                raise CorruptDataError(
                    f"blob {blob.digest} of {source.reference} is not what its digest says", "pull again"
                )
            self._finish(place, blob.digest, bytes(held), doing)

        _anew(send)

    def _begin(self, doing: str, digest: str = "") -> str:
        """Where an upload goes; empty when the registry says that it has the blob `digest` in this repository."""
        mount = f"?mount={digest}&from={self.reference.repository}" if digest else ""  # one call for two questions
        answer = self._ask("POST", f"blobs/uploads/{mount}", body=b"")
        if mount and answer.status == 201:
            return ""
        if mount and answer.status != 202:  # some registries know no mount
            answer = self._ask("POST", "blobs/uploads/", body=b"")
        self._expect(answer, {202}, doing)
        return self._place(answer)

    def _chunk(self, place: str, data: bytes, start: int, doing: str) -> tuple[str, int]:
        """Send bytes from `start` on; gives where to go on, which after a broken connection may be within `data`."""
        headers = {"Content-Range": f"{start}-{start + len(data) - 1}", "Content-Type": "application/octet-stream"}
        answer = self._ask("PATCH", place, body=data, headers=headers)
        if answer.status == 416:  # part of it had arrived before
            answer = self._ask("GET", place)
            self._expect(answer, {204}, doing)
            arrived = int(answer.headers.get("Range", "0-0").rpartition("-")[2] or 0) + 1
            if not start < arrived <= start + len(data):
                raise _Lost(f"can't {doing}: the registry lost what was sent", "push again")
            rest = data[arrived - start :]
            return self._chunk(self._place(answer), rest, arrived, doing) if rest else (self._place(answer), arrived)
        if answer.status == 404:
            raise _Lost(refusal(self.reference.host, answer, doing).message, "push again")
        self._expect(answer, {202}, doing)
        return self._place(answer), start + len(data)

    def _finish(self, place: str, digest: str, data: bytes, doing: str) -> None:
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream"}
        before = self.http.calls
        answer = self._ask("PUT", url, body=data, headers=headers)
        if answer.status in {404, 400, 416}:
            broke_off = self.http.calls > before + 1  # then bytes may have arrived twice, and the digest is another
            if self.has(digest):
                return  # the first of two tries had arrived
            if broke_off or answer.status != 400 or "BLOB_UPLOAD_" in told(answer):
                raise _Lost(refusal(self.reference.host, answer, doing).message, "push again")
        self._expect(answer, {201}, doing)

    # Requests --------------------------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, **options: Any) -> Answer:
        """The answer, once the registry knows who asks: a refused token is renewed once."""
        url = urljoin(self._base, path)
        headers = dict(options.pop("headers", None) or {})
        for renewed in (False, True):
            own = urlsplit(url).netloc == urlsplit(self._base).netloc
            login = {"Authorization": self._authorization.header} if own and self._authorization.header else {}
            answer = self.http.ask(method, url, headers=headers | login, **options)
            if answer.status != 401 or renewed:
                break
            answer.drain_conn()
            self._authorization.renew(answer.headers.get("WWW-Authenticate", ""), self.http.ask)
        return answer

    def _place(self, answer: Answer) -> str:
        """Where an upload goes on."""
        return urljoin(self._base, answer.headers.get("Location", ""))

    def _expect(self, answer: Answer, statuses: set[int], doing: str) -> None:
        if answer.status not in statuses:
            raise refusal(self.reference.host, answer, doing)

    def _named(self, version: str) -> str:
        return f"{self.reference}{'@' if ':' in version else ':'}{version}"


class _Lost(InfrastructureError):
    """The registry no longer knows the upload that broke off."""


def _anew(send: Callable[[], None]) -> None:
    """Upload, and again from its beginning when the registry lost what had come, `_UPLOADS` times in all."""
    for number in range(1, _UPLOADS + 1):
        try:
            return send()
        except _Lost:
            if number == _UPLOADS:
                raise
    raise AssertionError("the last one returns or raises")
