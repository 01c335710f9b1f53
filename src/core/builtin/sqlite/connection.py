"""One connection to core's SQLite file: opened with checks and migrations, written in immediate transactions.

The WAL-reset defect. SQLite 3.7.0 to 3.51.2 (Debian 12 ships 3.40.1) may lose committed pages: a checkpoint reads the
WAL's header, then another connection commits and starts the WAL anew (an earlier checkpoint had emptied it), then the
checkpoint goes on with the old header and marks pages of the new WAL as copied that are not. It takes a checkpoint
that runs while another connection commits. So here none does: automatic checkpoints are off, and `Database` takes its
own while a second connection holds the write lock (see `_checkpoint`); SQLite's own lock then keeps every writer
out, whatever process it lives in. The checkpoint that SQLite takes when the last connection closes is safe: it holds
the whole file exclusively. One way for every version of SQLite, so that one way is tested.
"""

from __future__ import annotations

import os
import sqlite3
import time
from _thread import allocate_lock

from core.builtin.sqlite.diagnosis import FOREIGN, RESTORE, explained
from core.builtin.sqlite.queries import load_migration
from core.errors import CoreError, CorruptDataError, StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Any

APPLICATION_ID = 0x636F7265
"""`core` in ASCII; stands in the file's header."""
SCHEMA = 4
"""The newest schema that this version of core knows."""
BUSY_SECONDS = 30.0
"""How long a writer waits for another."""
CHECKPOINT_BYTES = 4 << 20
"""Growth of the WAL after which it is copied into the database."""
CHECKPOINT_EVERY = 16
"""Commits of one connection between looks at the WAL's size."""

_inherited: list[sqlite3.Connection] = []  # a forked child must neither use nor close its parent's connections


class Database:
    """A connection that threads share and a forked child replaces by its own.

    Raises `StoreError` when the file can't be opened or written, `CorruptDataError` when it is damaged, foreign or
    newer.
    """

    def __init__(self, path: str | os.PathLike[str], *, power: bool = False) -> None:
        self.path = os.path.abspath(os.fspath(path))
        """The file; it is made when missing, its folder too."""
        self._synchronous = "FULL" if power else "NORMAL"  # what a commit survives: a loss of power, or of the process
        self._lock = allocate_lock()
        self._pid = os.getpid()
        self._closed = False
        self._commits = 0
        self._copied = 0
        self._functions: dict[str, tuple[Callable[..., Any], int]] = {}
        self._connection = self._open()
        self._transaction = Transaction(self)

    def define(self, name: str, function: Callable[..., Any], arguments: int) -> None:
        """Let queries call `function`; it must not use the database."""
        self._enter()
        self._functions[name] = (function, arguments)
        self._connection.create_function(name, arguments, function)
        self._lock.release()

    def transaction(self) -> Transaction:
        """`with database.transaction() as connection:` writes all or nothing; not to be nested."""
        return self._transaction

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        self._enter()
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except (sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
            raise explained(error, self.path) from error
        finally:
            self._lock.release()

    def check(self) -> list[str]:
        """Damage that a full check finds, one line each; it reads the whole file."""
        return [row[0] for row in self.read("PRAGMA quick_check") if row[0] != "ok"]

    def close(self) -> None:
        """End the connection; a second time does nothing."""
        with self._lock:
            if not self._closed and self._pid == os.getpid():
                self._connection.close()
            self._closed = True

    def _enter(self) -> None:
        """Take the lock, with a connection that belongs to this process."""
        if self._pid != os.getpid():  # a fork: a thread of the parent may hold the lock for ever
            self._lock = allocate_lock()
            self._pid = os.getpid()
            _inherited.append(self._connection)
            self._connection = self._open()
        self._lock.acquire()
        if self._closed:
            self._lock.release()
            raise StoreError(f"the database {self.path!r} was closed", "open it again before you use it")

    def _open(self) -> sqlite3.Connection:
        _look(self.path)
        try:
            connection = _connect(self.path)
        except sqlite3.Error as error:
            raise explained(error, self.path) from error
        try:
            _prepare(connection, self.path)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            for name, (function, arguments) in self._functions.items():
                connection.create_function(name, arguments, function)
        except (CoreError, sqlite3.Error) as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise explained(error, self.path) from error
            raise
        return connection

    def _committed(self) -> None:
        """Count a commit; once in a while copy a grown WAL into the database."""
        self._commits += 1
        if self._commits % CHECKPOINT_EVERY:
            return
        try:
            size = os.stat(self.path + "-wal").st_size
        except FileNotFoundError:
            raise StoreError(f"the database {self.path!r} was removed while in use", "start the run again") from None
        self._copied = min(self._copied, size)  # it shrinks when started anew (journal_size_limit)
        if size - self._copied >= CHECKPOINT_BYTES:
            self._copied = size
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Copy the WAL into the database while no connection anywhere can commit; left for later if one is busy."""
        try:
            holder = sqlite3.connect(self.path, timeout=1.0, isolation_level=None)
            try:
                holder.execute("BEGIN IMMEDIATE")
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                holder.close()  # rolls back; never the last connection, so nothing else happens
        except sqlite3.OperationalError:
            return  # the commits are safe in the WAL: the next one that looks tries again


class Transaction:
    """Context manager of a write transaction: BEGIN IMMEDIATE, then COMMIT, or ROLLBACK after an exception."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        """Wait for the write lock."""
        database = self._database
        database._enter()
        try:
            database._connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:  # Ctrl-C, too: it is told after BEGIN has worked
            if database._connection.in_transaction:
                database._connection.execute("ROLLBACK")
            database._lock.release()
            if isinstance(error, sqlite3.Error):
                raise explained(error, database.path) from error
            raise
        return database._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Commit, or roll back."""
        database = self._database
        connection = database._connection
        try:
            if error is None:
                connection.execute("COMMIT")
                database._committed()
        except sqlite3.Error as failure:
            raise explained(failure, database.path) from failure
        finally:
            if connection.in_transaction:  # SQLite itself rolls back on some errors
                connection.execute("ROLLBACK")
            database._lock.release()
        if isinstance(error, sqlite3.Error | UnicodeEncodeError | OverflowError):
            raise explained(error, database.path) from error


def _look(path: str) -> None:
    """Refuse what must not reach SQLite; make the folder."""
    try:
        size = os.stat(path).st_size
        if os.path.isdir(path):
            hint = "move it away, or point CORE_HOME at another folder"
            raise StoreError(f"{path!r} is a folder, not a database", hint)
        if size == 0 and _size(path + "-wal"):  # SQLite would throw that journal away
            raise CorruptDataError(f"the database {path!r} is empty, but its journal {path + '-wal'!r} is not", RESTORE)
    except FileNotFoundError:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:
            hint = "point CORE_HOME at a writable folder"
            raise StoreError(f"the folder of {path!r} cannot be made ({error})", hint) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        hint = "give the path of a file in a folder of yours"
        raise StoreError(f"the database {path!r} cannot be reached ({error})", hint) from error


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _connect(path: str) -> sqlite3.Connection:
    # The lock of Database keeps threads apart, so that any of them may use the connection.
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    """Check whose file it is, set the connection up, and bring the schema to the newest."""
    connection.execute("BEGIN")  # one state of the file for all questions: another process may be making it
    try:
        version = _version(connection, path)
        if version:
            _check_length(connection, path)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if not version:
        connection.execute("PRAGMA synchronous = OFF")  # an empty file: nothing to lose yet
    _use_wal(connection)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA journal_size_limit = 0")
    if version < SCHEMA:
        _migrate(connection, path)


def _check_length(connection: sqlite3.Connection, path: str) -> None:
    """Raise `CorruptDataError` when the file is shorter than its header says."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    size = _size(path)
    if size < pages * page_size and not _size(path + "-wal"):  # else the last pages may be in the WAL
        whole = pages * page_size
        raise CorruptDataError(f"the database {path!r} is cut off: {size} of {whole} bytes are there", RESTORE)


def _version(connection: sqlite3.Connection, path: str) -> int:
    """Schema version of the file, 0 for a new one; raises `CorruptDataError` when it is not for us."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application or version or tables:
            raise CorruptDataError(f"{path!r} is a database of another program, not of core", FOREIGN)
        return 0
    if version > SCHEMA:
        raise CorruptDataError(
            f"the database {path!r} has schema {version}; this version of core knows up to {SCHEMA}",
            "nothing was changed; use the newer version of core that wrote it, or point CORE_HOME at another folder",
        )
    return int(version)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait for another process that switches at the same moment, so this does."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the schema to the newest in one transaction; whoever comes second finds it done."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(_version(connection, path) + 1, SCHEMA + 1):
            for statement in load_migration(version):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
