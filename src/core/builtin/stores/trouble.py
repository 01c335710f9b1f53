"""What went wrong with a store, in words: an error of the system or a library as a `StoreError` with a hint."""

from __future__ import annotations

import errno

from core.errors import NotFoundError, StoreError

HEX = frozenset("0123456789abcdef")
LENGTH = 64
"""Hex digits of a blake3 digest."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def store_error(uri: str, doing: str, error: Exception) -> StoreError:
    """The `StoreError` for `error`, which came while `doing` (such as `write to`) the store at `uri`."""
    number = getattr(error, "errno", None)
    if number in _FULL:
        hint = "free some space there, or use another store; nothing was published half"
    elif number in _CLOSED or isinstance(error, PermissionError):
        hint = "give this user the right to write there, or use another store (CORE_HOME moves the default one)"
    else:
        hint = "look whether the store is reachable; `core doctor` checks it"
    return StoreError(f"cannot {doing} artifact store {uri!r}: {type(error).__name__}: {error}", hint)


def hex_of(digest: str, uri: str) -> str:
    """The hex digits of `digest`; raises `NotFoundError` for anything that is none, so that it never names a file."""
    algorithm, _, digits = digest.partition(":")
    if algorithm != "blake3" or len(digits) != LENGTH or not HEX.issuperset(digits):
        raise NotFoundError(f"{digest!r} names no artifact of {uri!r}", "a digest is `blake3:` and 64 hex digits")
    return digits
