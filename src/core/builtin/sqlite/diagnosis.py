"""What an error of SQLite means for a person: the file, what is wrong with it, and what to do."""

from __future__ import annotations

import sqlite3

from core.errors import CorruptDataError, StoreError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.errors import CoreError

RESTORE = (
    "nothing was changed; restore the file from a copy, or move it (and its -wal and -shm files) away and core starts "
    "a new one; `sqlite3 FILE .recover` may save rows"
)
FOREIGN = "nothing was changed; point CORE_HOME at another folder, or move the file away"

_STORE = {
    "SQLITE_FULL": ("cannot grow: the disk is full", "free some space; what was recorded before is safe"),
    "SQLITE_READONLY": ("cannot be written", "make the file and its folder writable, or point CORE_HOME elsewhere"),
    "SQLITE_CANTOPEN": ("cannot be opened", "make the file and its folder writable, or point CORE_HOME elsewhere"),
    "SQLITE_BUSY": ("was locked by another process for too long", "end the process that holds it, then try again"),
    "SQLITE_LOCKED": ("was locked by another connection", "try again"),
    "SQLITE_IOERR": ("could not be read or written", "look at the disk (full, unplugged, a network folder?)"),
    "SQLITE_PERM": ("cannot be accessed", "make the file and its folder readable and writable"),
    "SQLITE_NOMEM": ("could not be used: out of memory", "free some memory"),
}

_FIXED = (3, 51, 3)
_BACKPORTS = ((3, 50, 7), (3, 44, 6))


def explained(error: Exception, path: str) -> CoreError:
    """The error of core's that tells what `error`, raised while using the database at `path`, means."""
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return UsageError(
            f"a value does not fit in {path!r}: {error}",
            "names and documents must be valid Unicode text, numbers must fit in 64 bits",
        )
    name = getattr(error, "sqlite_errorname", None) or ""
    primary = "_".join(name.split("_")[:2])
    if primary == "SQLITE_NOTADB":
        return CorruptDataError(f"{path!r} is not a database of core's", FOREIGN)
    if primary == "SQLITE_CORRUPT":
        return CorruptDataError(f"the database {path!r} is damaged ({error})", RESTORE)
    if primary == "SQLITE_ERROR" and "no such" in str(error):
        return CorruptDataError(f"the database {path!r} lacks what its schema version promises ({error})", RESTORE)
    what, hint = _STORE.get(primary, ("could not be used", "run `core doctor`"))
    return StoreError(f"the database {path!r} {what} ({error})", hint)


def sqlite_defect(version: tuple[int, ...] | None = None) -> str:
    """A sentence when this Python's SQLite (or the `version` given) has the WAL-reset defect, else empty."""
    version = version or sqlite3.sqlite_version_info
    backported = any(version[:2] == fixed[:2] and version >= fixed for fixed in _BACKPORTS)
    if version >= _FIXED or backported or version < (3, 7, 0):
        return ""
    number = ".".join(map(str, version))
    return (
        f"SQLite {number} can damage a database when a checkpoint meets a write (the WAL-reset defect, fixed in "
        "3.51.3): core keeps the two apart, but open core.db with no other program while core writes"
    )
