"""Artifacts that lie in another store than the stack's: found by the URI that they record, copied when needed."""

from __future__ import annotations

import os

from core.builtin.stores.local import LocalArtifactStore
from core.carry import copy, missing
from core.errors import ConfigurationError, CoreError, CorruptDataError, NotFoundError
from core.stack.build import build, shelf_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.model.artifact import ArtifactRef
    from core.ports.artifact_store import ArtifactStore
    from core.stack.build import Means

FILE = "file://"


class Reach:
    """The stores that this home knows, by URI; each is built when an artifact lies in it."""

    def __init__(self, means: Means, own: ArtifactStore) -> None:
        """`own` is the store of the stack."""
        self._means = means
        self._own = own
        self._found: dict[str, ArtifactStore | None] = {own.uri: own}

    def store(self, uri: str) -> ArtifactStore | None:
        """The store at `uri`: registered, declared, or a folder that is there; None when nothing leads to it."""
        if uri not in self._found:
            self._found[uri] = self._registered(uri) or _folder(uri)
        return self._found[uri]

    def holding(self, ref: ArtifactRef) -> ArtifactStore:
        """The store to load `ref` from: the stack's, unless it lacks it and the one that `ref` names can be reached."""
        if ref.store in {"", self._own.uri} or not missing({"": ref}, self._own):
            return self._own
        return self.store(ref.store) or self._own

    def fetch(self, outputs: Mapping[str, ArtifactRef]) -> str:
        """Copy into the stack's store what it lacks of `outputs`; empty when it has all now, else why it has not."""
        try:
            return self._bring(outputs)
        except CoreError as error:
            return f"{missing(outputs, self._own)}, and could not be copied: {error.message}"

    def readable(self, outputs: Mapping[str, ArtifactRef]) -> bool:
        """Whether the stack's store has all of `outputs`, some of it copied just now; False for what is gone.

        Raises `ConfigurationError` for what lies in a store that this home can't reach: it may be there all the same.
        """
        try:
            gone = self._bring(outputs)
        except (NotFoundError, CorruptDataError):
            return False
        if not gone:
            return True
        for ref in outputs.values():
            if ref.store and self.store(ref.store) is None and missing({"": ref}, self._own):
                raise ConfigurationError(
                    f"{gone}, and no artifact store of this home leads there",
                    f"`core artifact-store register` the store that {ref.store!r} lies in, "
                    "go on with the stack that made it, or `core runs retry` the step",
                )
        return False

    def _bring(self, outputs: Mapping[str, ArtifactRef]) -> str:
        """Copy what is lacking from each store that can be reached; gives what is lacking still."""
        gone = missing(outputs, self._own)
        if not gone:
            return ""
        for ref in outputs.values():
            source = self.store(ref.store) if ref.store else None
            if source is not None and source is not self._own:
                copy(ref, source, self._own)
        return missing(outputs, self._own)

    def _registered(self, uri: str) -> ArtifactStore | None:
        with self._means:
            for entry in shelf_of(self._means).components("artifact_store"):
                if entry.settings and not _may_be(entry.settings, uri):
                    continue  # building it might bring an SDK
                try:
                    store: Any = build(self._means, entry)
                except CoreError:
                    continue  # another one may lead there
                if store.uri == uri:
                    return store  # type: ignore[no-any-return]
        return None


def _may_be(settings: Mapping[str, Any], uri: str) -> bool:
    texts = [text.rstrip("/") for text in settings.values() if isinstance(text, str)]
    return any(text and text.rpartition("://")[2] in uri for text in texts)


def _folder(uri: str) -> ArtifactStore | None:
    """The store in a folder of this machine that nobody registered, such as that of another home."""
    path = uri.removeprefix(FILE)
    return LocalArtifactStore(path) if uri.startswith(FILE) and os.path.isdir(path) else None
