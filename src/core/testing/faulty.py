"""Wrappers round any port object: one fails from a seed, or at the N-th write; the other tries again until it works."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from core.errors import ConflictError, NotFoundError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.ports.artifact_store import Upload
    from core.ports.catalog import Entry

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))
WRITES = frozenset(
    {"append", "delete_run", "acquire", "renew", "release", "put", "delete", "write", "commit", "remove"},
)
"""Methods that `fail_nth` counts."""
SAFE = frozenset({"now", "path", "abort", "close"})
"""Methods that do not fail: they ask nobody, or clean up."""


class Faulty:
    """A tracking store, catalog or artifact store (`inner`) whose methods fail, and those of its uploads.

    A share `rate` of all calls raises `StoreError`: half of them before they take effect, half after; `seed` decides
    which. With `fail_nth` that one call of a method in `WRITES` raises before it takes effect. `errors` are what the
    store is said to have met; a call takes up to `delay` seconds longer.
    """

    def __init__(
        self,
        inner: Any,
        seed: int = 0,
        rate: float = 0.0,
        *,
        fail_nth: int = 0,
        errors: Sequence[Exception] = (FULL,),
        delay: float = 0.0,
    ) -> None:
        self.inner = inner
        self.left = fail_nth
        """Writes until the failure; 0 and below never fail again."""
        self.failed = 0
        """Calls that failed so far."""
        self._rate = rate
        self._errors = errors
        self._delay = delay
        self._chance = random.Random(seed)  # noqa: S311 - not for secrets

    def __getattr__(self, name: str) -> Any:
        return self._wrapped(self.inner, name)

    def _wrapped(self, inner: Any, name: str) -> Any:
        value = getattr(inner, name)
        if name.startswith("_") or name in SAFE or not callable(value):
            return value
        return lambda *args, **options: self._call(name, value, args, options)

    def _call(self, name: str, method: Callable[..., Any], args: Any, options: Any) -> Any:
        if self._delay:
            time.sleep(self._chance.random() * self._delay)
        drawn = self._chance.random()
        if name in WRITES:
            self.left -= 1
        if drawn < self._rate / 2 or (name in WRITES and self.left == 0):
            raise self._failure(name, "nothing was done")
        given = method(*args, **options)
        if drawn < self._rate:
            if name in ("open", "begin"):
                (given.close if name == "open" else given.abort)()
            raise self._failure(name, "it was done all the same")
        return _FaultyUpload(self, given) if name == "begin" else given

    def _failure(self, name: str, how: str) -> StoreError:
        self.failed += 1
        cause = self._chance.choice(self._errors)
        failure = StoreError(
            f"{name!r} failed in {self.inner.__class__.__name__}: {cause}", f"a test wanted this; {how}"
        )
        failure.__cause__ = cause
        return failure


class _FaultyUpload:
    """An upload that fails as its store does."""

    def __init__(self, store: Faulty, inner: Upload) -> None:
        self._store = store
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return self._store._wrapped(self._inner, name)


class Patient:
    """A port object that repeats each call of `inner` that raises `StoreError`, `tries` times at most.

    What may not be repeated blindly is done with care: an upload begins anew with all its bytes; when an entry of the
    catalog is refused the second time, or what is to be deleted is not there, that may be the work of the first.
    """

    def __init__(self, inner: Any, tries: int = 20) -> None:
        self.inner = inner
        self.tries = tries

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        if name.startswith("_") or not callable(value):
            return value
        if name == "begin":
            return lambda: _PatientUpload(self, value)
        return lambda *args, **options: self._call(name, value, args, options)

    def _call(self, name: str, method: Callable[..., Any], args: Any, options: Any) -> Any:
        failed: StoreError | None = None
        deletes = name == "delete_run" or (name == "delete" and len(args) > 1)  # a blob that is not there is no error
        there = deletes and self._there(name, args)
        for _ in range(self.tries):
            try:
                given = method(*args, **options)
                if failed and name == "write" and given is False:  # it is there: by the call that failed, perhaps
                    given = self._call("read", self.inner.read, args[:1], {}) == args[1]
                return iter(list(given)) if isinstance(given, Generator) else given  # it may fail under way
            except StoreError as error:
                failed = error
            except NotFoundError:
                if failed is None or not there:
                    raise
                return None
            except ConflictError:
                done = self._put_before(args[0]) if failed and name == "put" else None
                if done is None:
                    raise
                return done
        assert failed is not None
        raise failed

    def _there(self, name: str, args: Any) -> bool:
        if name == "delete_run":
            return bool(self.events(*args))
        kind, entry, _, *project = args
        return any(other.name == entry for other in self.list(kind, *project))

    def _put_before(self, entry: Entry) -> Entry | None:
        """The entry as it stands there, if that is what was to be put."""
        for there in self.list(entry.kind, entry.project):
            if there == entry._replace(revision=entry.revision + 1, changed_at=there.changed_at):
                return there  # type: ignore[no-any-return] # of the inner catalog
        return None


class _PatientUpload:
    """Keeps what was written, and begins anew when anything fails."""

    def __init__(self, store: Patient, begin: Callable[[], Upload]) -> None:
        self._tries = store.tries
        self._begin = begin
        self._written: list[bytes] = []
        self._upload: Upload | None = None
        self._repeat(lambda _: None)

    def _repeat(self, work: Callable[[Upload], object]) -> None:
        """Do `work` with an upload that has all that was written."""
        for left in reversed(range(self._tries)):
            try:
                if self._upload is None:
                    self._upload = self._begin()
                    for data in self._written:
                        self._upload.write(data)
                work(self._upload)
            except StoreError:
                self.abort()
                if not left:
                    raise
            else:
                return

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        self._repeat(lambda upload: upload.write(data))
        self._written.append(bytes(data))
        return len(self._written[-1])

    def commit(self, digest: str) -> None:
        self._repeat(lambda upload: upload.commit(digest))

    def abort(self) -> None:
        if self._upload is not None:
            self._upload.abort()
            self._upload = None
