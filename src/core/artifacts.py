"""Values to artifacts and back: hashed while written, published by digest, verified before anything reads them."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import NamedTuple

from blake3 import blake3

from core.digest.file import hash_file
from core.errors import CorruptDataError, NotFoundError, OutputError, UntrustedPickleError
from core.faults import failpoint
from core.model.artifact import ArtifactRef
from core.model.nothing import NOTHING
from core.names import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, BinaryIO

    from core.blobs import Fetching, Sending
    from core.errors import CoreError
    from core.ports.artifact_store import ArtifactStore, Upload
    from core.ports.materializer import Materializer, Materializers

INLINE_LIMIT = 8192
"""Bytes up to which a value stays in the reference: a row of SQLite costs less than a new file there."""
OVERLAP = 1 << 20
"""Bytes of one write from which hashing gets a thread of its own beside the writing."""
SLICE = 4 << 20
"""Bytes handed to a store at once."""
MEMORY_LIMIT = 8 << 20
"""Bytes of a remote blob up to which it is loaded into memory, not into a temporary file."""
SMALL = 1 << 20
"""Bytes that the blobs of an artifact have on average, up to which many of them come at a time from a remote store."""

DOWNLOAD = "core-artifact-"
"""How the temporary files begin into which remote blobs come."""

AGAIN = "run the step that made it again: `core run FILE:PIPELINE --no-cache STEP`"


def save(
    value: Any,
    *,
    store: ArtifactStore,
    materializers: Materializers,
    name: str | None = None,
    limit: int = INLINE_LIMIT,
    sending: Sending | None = None,
) -> ArtifactRef:
    """Store `value` with its materializer (the one called `name` if given); up to `limit` bytes stay in the reference.

    With `sending` it is not published yet when this returns: the caller waits for `sending.done()`.
    Raises `OutputError` when the value cannot be stored, `StoreError` when the store cannot be written.
    """
    materializer = materializers.for_value(value, name)
    sink = Sink(store, materializers, limit, [], sending, within=sending is not None)
    try:
        materializer.save(value, sink)
        digest, inline = sink.finish()
    except RecursionError:
        sink.abort()
        raise OutputError(
            f"a value of type {name_of(type(value))!r} contains itself or is nested too deep for {materializer.name!r}",
            "return it flat, or name another materializer: @step(materializers={'output': 'cloudpickle'})",
        ) from None
    except BaseException:
        sink.abort()
        raise
    parts = tuple(dict.fromkeys(sink.parts))
    uri = "" if inline is not None and not parts else store.uri
    kind = name_of(type(value))
    return ArtifactRef(digest, sink.size, kind, materializer.name, uri, inline, parts, _preview(materializer, value))


def load(
    ref: ArtifactRef,
    *,
    store: ArtifactStore,
    materializers: Materializers,
    trusted: Callable[[str], bool],
) -> Any:
    """The value that `ref` points to; its bytes are verified first, those of nested values before each is read.

    `trusted` says whether the tracking store recorded a digest; it is asked only for materializers that unpickle.
    Raises `CorruptDataError`, `NotFoundError`, `StoreError`, `UntrustedPickleError`, `PluginError`.
    """
    ahead = _ahead(ref, store)
    try:
        shelf = _Shelf(store, materializers, trusted, ref, ahead or store)
        return _load(shelf, ref.materializer, ref.type, ref.digest, ref.inline)
    finally:
        if ahead is not None:
            ahead.close()


def _ahead(ref: ArtifactRef, store: ArtifactStore) -> Fetching | None:
    """What brings the parts of `ref` here before they are wanted; None where that gains nothing."""
    if len(ref.parts) < 2 or not store.many or ref.size > SMALL * len(ref.parts):
        return None
    from core.blobs import Fetching  # start-up time: only artifacts of many blobs

    return Fetching(store, ref.parts)


def read_bytes(ref: ArtifactRef, store: ArtifactStore) -> bytes:
    """The verified bytes of `ref` itself, without those of its parts."""
    if ref.inline is not None:
        verify(blake3(ref.inline).hexdigest(), ref.digest, ref, store.uri)
        return ref.inline
    with open_blob(ref.digest, ref, store) as file:
        data = file.read()
    verify(blake3(data).hexdigest(), ref.digest, ref, store.uri)
    return data


def sender(store: ArtifactStore) -> Sending | None:
    """What publishes many blobs at a time, where each costs the way to another machine; else None."""
    if not store.many:
        return None
    from core.blobs import Sending  # start-up time: only values of several blobs

    return Sending()


def _preview(materializer: Materializer, value: Any) -> Mapping[str, Any]:
    try:
        return materializer.preview(value) or NOTHING
    except Exception:  # noqa: BLE001 - border of a plugin: a preview is only for people and never breaks a save
        return NOTHING


class Sink:
    """The `Writer` of one blob: keeps bytes in memory up to `limit`, then hashes them on their way into the store."""

    __slots__ = ("_chunks", "_hash", "_held", "_limit", "_materializers", "_sending", "_store", "_upload", "_within",
                 "parts", "size")  # fmt: skip

    def __init__(
        self,
        store: ArtifactStore,
        materializers: Materializers,
        limit: int,
        parts: list[str],
        sending: Sending | None = None,
        *,
        within: bool = False,
    ) -> None:
        """`within` another blob, or several, whose owner waits until all that `sending` publishes is there."""
        self._sending = sending
        self._within = within
        self._store = store
        self._materializers = materializers
        self._limit = limit
        self._chunks: list[bytes] = []
        self._held = 0
        self._upload: Upload | None = None
        self._hash: Any = None
        self.parts = parts
        """Digests of the blobs below this one."""
        self.size = 0
        """Bytes so far, those of nested blobs included."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append `data`; returns its length in bytes."""
        length = data.nbytes if isinstance(data, memoryview) else len(data)
        self.size += length
        if self._upload is None:
            if self._held + length <= self._limit:
                self._chunks.append(data if type(data) is bytes else bytes(data))
                self._held += length
                return length
            self._spill()
        self._put(data, length)
        return length

    def child(self, value: Any) -> dict[str, Any]:
        """Store `value` with its own materializer: its bytes in the returned plain data when few, else a blob."""
        materializer = self._materializers.for_value(value)
        self._sending = self._sending or sender(self._store)
        sink = Sink(self._store, self._materializers, self._limit, self.parts, self._sending, within=True)
        try:
            materializer.save(value, sink)
            digest, inline = sink.finish()
        except BaseException:
            sink.abort()
            raise
        data: dict[str, Any] = {"by": materializer.name, "type": name_of(type(value))}
        if inline is None:
            self.size += sink.size
            self.parts.append(digest)
            data["blob"] = digest
            return data
        self.size += sink.size - len(inline)  # inline bytes are counted when the parent writes them
        try:
            data["text"] = inline.decode()
        except UnicodeDecodeError:
            data["base64"] = b2a_base64(inline, newline=False).decode()
        return data

    def finish(self) -> tuple[str, bytes | None]:
        """Digest of the bytes, now published; and the bytes themselves when they stayed in memory."""
        if self._sending is not None and not self._within:
            self._sending.done()
            self._sending.close()
        if self._upload is None:
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            return "blake3:" + blake3(data).hexdigest(), data
        failpoint("artifact.written")
        digest: str = "blake3:" + self._hash.hexdigest()
        if self._sending is not None and self._within:
            self._sending.commit(self._upload, digest)
        else:
            self._upload.commit(digest)
        return digest, None

    def abort(self) -> None:
        """Drop what was written; nothing of it becomes visible."""
        if self._sending is not None and not self._within:
            self._sending.close()
        if self._upload is not None:
            self._upload.abort()

    def _spill(self) -> None:
        self._upload = self._store.begin()
        self._hash = blake3()
        held, self._chunks = b"".join(self._chunks), []
        if held:
            self._put(held, len(held))

    def _put(self, data: bytes | bytearray | memoryview, length: int) -> None:
        if length < OVERLAP:
            self._hash.update(data)
            self._upload.write(data)  # type: ignore[union-attr]
            return
        from threading import Thread  # start-up time: only big values come here

        thread = Thread(target=self._hash.update, args=(data,))  # releases the GIL: hashes while we write
        thread.start()
        try:
            view = memoryview(data).cast("B")
            for start in range(0, length, SLICE):
                self._upload.write(view[start : start + SLICE])  # type: ignore[union-attr]
        finally:
            thread.join()


class _Shelf(NamedTuple):
    """What every part of one artifact is loaded from."""

    store: ArtifactStore
    materializers: Materializers
    trusted: Callable[[str], bool]
    ref: ArtifactRef
    source: ArtifactStore | Fetching
    """What opens blobs."""


def _load(shelf: _Shelf, by: str, kind: str, digest: str, inline: bytes | None, *, within: bool = False) -> Any:
    """The value of the blob `digest`, or of `inline` bytes: checked against it, or `within` bytes that were checked."""
    materializer = shelf.materializers.named(by)
    if materializer.pickles and not shelf.trusted(digest):
        raise UntrustedPickleError(
            f"artifact {digest} of type {kind!r} is a pickle that the tracking store never recorded",
            "a pickle can run code when it is loaded: load it only with the tracking store of the run that made it",
        )
    if inline is not None and not within:
        verify(blake3(inline).hexdigest(), digest, shelf.ref, "the tracking store")
    source = _Source(shelf, kind, digest, inline)
    if inline is not None:
        return materializer.load(source)
    try:
        source.fetch()
        return materializer.load(source)
    finally:
        source.close()


class _Source:
    """The `Reader` of one blob."""

    __slots__ = ("_data", "_digest", "_path", "_shelf", "_temporary", "type")

    def __init__(self, shelf: _Shelf, kind: str, digest: str, data: bytes | None) -> None:
        self._shelf = shelf
        self._digest = digest
        self._data = data
        self._path: str | None = None
        self._temporary = False
        self.type = kind

    def fetch(self) -> None:
        """Get the blob here and verify it: a local file as it lies, small ones in memory, the rest in a file."""
        shelf = self._shelf
        self._path = shelf.store.path(self._digest)
        if self._path is not None:
            self._check(self._hash(self._path))
            return
        with open_blob(self._digest, shelf.ref, shelf.store, shelf.source) as file:
            head = file.read(MEMORY_LIMIT + 1)
            if len(head) <= MEMORY_LIMIT:
                self._check(blake3(head).hexdigest())
                self._data = head
            else:
                self._check(self._download(head, file))

    def _hash(self, path: str) -> str:
        try:
            return hash_file(path)
        except FileNotFoundError:
            raise _missing(self._digest, self._shelf.ref, self._shelf.store) from None
        except OSError as error:
            named = _named(self._digest, self._shelf.ref)
            raise CorruptDataError(f"{named} cannot be read from {self._shelf.store.uri}: {error}", AGAIN) from error

    def _download(self, head: bytes, file: BinaryIO) -> str:
        import os  # start-up time: beside tempfile, only for big remote blobs
        import tempfile  # start-up time: the same

        handle, self._path = tempfile.mkstemp(prefix=DOWNLOAD)
        self._temporary = True
        hasher = blake3(head)
        with os.fdopen(handle, "wb") as out:
            out.write(head)
            while data := file.read(SLICE):
                hasher.update(data)
                out.write(data)
        return hasher.hexdigest()

    def _check(self, found: str) -> None:
        verify(found, self._digest, self._shelf.ref, self._shelf.store.uri)

    def close(self) -> None:
        """Remove the temporary file; a memory map of it lives on."""
        if self._temporary and self._path is not None:
            import os  # start-up time: only for big remote blobs

            os.unlink(self._path)

    def read(self) -> bytes:
        """All bytes."""
        if self._data is not None:
            return self._data
        with self.open() as file:
            return file.read()

    def open(self) -> BinaryIO:
        """A seekable file of the bytes."""
        if self._path is not None:
            return open(self._path, "rb")
        from io import BytesIO

        return BytesIO(self._data or b"")

    def path(self) -> str | None:
        """A local file with the bytes, valid until the load is over, or None."""
        return self._path

    def child(self, data: dict[str, Any]) -> Any:
        """The nested value that `Sink.child` stored."""
        blob = data.get("blob")
        if blob is not None:
            return _load(self._shelf, data["by"], data["type"], blob, None)
        inline = data["text"].encode() if "text" in data else a2b_base64(data["base64"])
        return _load(self._shelf, data["by"], data["type"], self._digest, inline, within=True)


def open_blob(
    digest: str, ref: ArtifactRef, store: ArtifactStore, source: Fetching | ArtifactStore | None = None
) -> BinaryIO:
    """The blob's file, through `source` where something else than the store opens it; raises `NotFoundError`."""
    try:
        return (source or store).open(digest)
    except NotFoundError:
        raise _missing(digest, ref, store) from None


def _named(digest: str, ref: ArtifactRef) -> str:
    return f"artifact {digest}" if digest == ref.digest else f"part {digest} of artifact {ref.digest}"


def _missing(digest: str, ref: ArtifactRef, store: ArtifactStore) -> NotFoundError:
    elsewhere = f"; it was saved in {ref.store}" if ref.store and ref.store != store.uri else ""
    return NotFoundError(f"{_named(digest, ref)} is not in {store.uri}{elsewhere}", AGAIN)


def of_step(error: CoreError, output: str, step: str) -> CoreError:
    """`error`, raised while an artifact was loaded, with the output and the step that made it."""
    return type(error)(f"output {output!r} of step {step!r}: {error.message}", error.hint.replace("STEP", step))


def verify(found: str, digest: str, ref: ArtifactRef, where: str) -> None:
    """Raise `CorruptDataError` where the bytes that were `found` are not those of `digest`."""
    if "blake3:" + found != digest:
        raise CorruptDataError(
            f"{_named(digest, ref)} in {where} holds other bytes: they hash to blake3:{found}", AGAIN
        )
