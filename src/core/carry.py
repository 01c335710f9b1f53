"""Whether a store has all of an artifact, and bringing it there from another store."""

from __future__ import annotations

from blake3 import blake3

from core.artifacts import SLICE, open_blob, verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.model.artifact import ArtifactRef
    from core.ports.artifact_store import ArtifactStore


def missing(outputs: Mapping[str, ArtifactRef], store: ArtifactStore) -> str:
    """Which of `outputs` this store does not have, wherever it was stored then: a moved home keeps its results."""
    for name, ref in outputs.items():
        blobs = ref.parts if ref.inline is not None else (ref.digest, *ref.parts)
        if not _has_all(store, blobs):
            elsewhere = f" (it was stored in {ref.store})" if ref.store != store.uri else ""
            return f"stored output {name} is missing from {store.uri}{elsewhere}"
    return ""


def _has_all(store: ArtifactStore, digests: Sequence[str]) -> bool:
    if len(digests) < 2 or not store.many:
        return all(store.exists(digest) for digest in digests)
    from core.blobs import have_all  # start-up time: only artifacts of many blobs

    return have_all(store, digests)


def copy(ref: ArtifactRef, source: ArtifactStore, target: ArtifactStore) -> None:
    """Bring the blobs of `ref` that `target` lacks there from `source`, verified on the way.

    Raises `NotFoundError`, `CorruptDataError`, `StoreError`; what is damaged is not published.
    """
    for digest in ref.parts if ref.inline is not None else (ref.digest, *ref.parts):
        if target.exists(digest):
            continue
        with open_blob(digest, ref, source) as file:
            upload, hasher = target.begin(), blake3()
            try:
                while data := file.read(SLICE):
                    hasher.update(data)
                    upload.write(data)
                verify(hasher.hexdigest(), digest, ref, source.uri)
                upload.commit(digest)
            except BaseException:
                upload.abort()
                raise
