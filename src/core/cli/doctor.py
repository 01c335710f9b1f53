"""`core doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import core
from core.cli.command import Command
from core.cli.output import emit, say, table
from core.errors import ConfigurationError, CoreError
from core.settings import Settings, foreign_folder, resolve
from core.stack.entries import DEFAULT
from core.text import closest
from core.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Mapping

    from core.cli.command import Parser

LOW_DISK = 1 << 30
"""Bytes of free disk below which a run may not end well."""
OTHER_VARIABLES = ("DEBUG", "FAILPOINTS", "PLUGINS_ALLOW", "PLUGINS_BLOCK")
"""`CORE_` variables that are no settings."""


class Finding(NamedTuple):
    """One line of the report."""

    check: str
    state: str
    """`ok`, `warning` or `problem`; a problem makes the exit code 6."""
    detail: str
    hint: str = ""
    """What to do; empty when all is well."""


def findings() -> Iterator[Finding]:
    """Every check, one after another; a check that fails itself is a problem too."""
    yield Finding("python", "ok", f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})")
    yield Finding("core", "ok", f"{VERSION} ({os.path.dirname(core.__file__)})")
    yield _shadow()
    yield from _environment()
    try:
        settings = resolve()
    except ConfigurationError as error:
        yield Finding("settings", "problem", error.message, error.hint)
        return
    yield Finding("settings", "ok", "every setting is understood")
    yield from _home(settings.home)
    for check in (_sqlite, _database, _pending, _journals, _secrets, _plugins, _integrations, _stack):
        try:
            yield from check(settings)
        except CoreError as error:
            yield Finding(check.__name__.strip("_"), "problem", error.message, error.hint)
        except Exception as error:  # noqa: BLE001 - the doctor tells of every trouble, and goes on
            yield Finding(
                check.__name__.strip("_"), "problem", f"{type(error).__name__}: {error}", "please report this"
            )


def _shadow() -> Finding:
    """A person's own `core` folder or file hides the import when Python starts in its folder."""
    for name in ("core", "core.py"):
        path = os.path.abspath(name)
        shadows = os.path.isfile(path) if name.endswith(".py") else os.path.isfile(os.path.join(path, "__init__.py"))
        loose = os.path.isdir(path) and not name.endswith(".py")
        if (shadows or loose) and not os.path.samefile(path, os.path.dirname(core.__file__)):
            state, what = ("problem", "hides") if shadows else ("warning", "may hide")
            return Finding("import", state, f"{path!r} {what} `import core` for programs of this folder", "rename it")
    return Finding("import", "ok", "nothing in this folder hides `import core`")


def _environment() -> Iterator[Finding]:
    known = {*(name.upper() for name in Settings._fields), *OTHER_VARIABLES}
    for variable in sorted(os.environ):
        name = variable.removeprefix("CORE_")
        near = closest(name, known) if name != variable and name not in known else ""
        if near:  # other programs may use the prefix, too: only what looks like a slip is told
            yield Finding("environment", "warning", f"{variable} is no setting{near}", "correct its name")


def _home(home: str) -> Iterator[Finding]:
    import shutil  # start-up time: only the doctor looks at the disk
    import tempfile  # start-up time: the same

    other = foreign_folder()
    if other:
        hint = f"set CORE_HOME={other} if you trust its owner"
        yield Finding("home", "warning", f"{other!r} belongs to another user and is passed over", hint)
    existing = home
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    try:
        tempfile.TemporaryFile(dir=existing).close()  # trying tells more than asking: read-only mounts, quotas
    except OSError:
        yield Finding(
            "home", "problem", f"{home!r} cannot be written", "set CORE_HOME to a folder that you may write to"
        )
        return
    yield Finding("home", "ok", home if existing == home else f"{home} (not there yet; the first run makes it)")
    free = shutil.disk_usage(existing).free
    detail = f"{free / (1 << 30):.1f} GiB free"
    if free < LOW_DISK:
        yield Finding("disk", "warning", detail, "free some disk space")
    else:
        yield Finding("disk", "ok", detail)


def _sqlite(_settings: Settings) -> Iterator[Finding]:
    import sqlite3  # start-up time: other commands get it with the tracking store

    from core.builtin.sqlite.diagnosis import sqlite_defect  # start-up time: the same

    defect = sqlite_defect()
    if defect:
        yield Finding("sqlite", "warning", defect, "nothing to do for core; a newer Python or SQLite removes it")
    else:
        yield Finding("sqlite", "ok", sqlite3.sqlite_version)


def _database(settings: Settings) -> Iterator[Finding]:
    """Opening checks header, version and schema; SQLite's own quick check reads every page."""
    path = os.path.join(settings.home, "core.db")
    if not os.path.exists(path):
        yield Finding("database", "ok", "none yet; the first run makes it")
        return
    from core.builtin.sqlite.connection import Database  # start-up time: only the doctor opens it itself

    database = Database(path)
    try:
        answer = str(database.read("PRAGMA quick_check(1)")[0][0])
    finally:
        database.close()
    if answer != "ok":
        yield Finding(
            "database", "problem", f"{path!r} is damaged: {answer}", "restore it from a copy, or move it away"
        )
    else:
        yield Finding("database", "ok", f"{path}, {os.path.getsize(path) / (1 << 20):.1f} MiB")


def _pending(settings: Settings) -> Iterator[Finding]:
    """Events that a run could not record, kept in files until the store is back."""
    folder = os.path.join(settings.home, "pending")
    names = [name for name in os.listdir(folder) if name.endswith(".json")] if os.path.isdir(folder) else []
    if names:
        yield Finding(
            "pending", "warning", f"{len(names)} files of unrecorded events in {folder}", "the next run records them"
        )
    else:
        yield Finding("pending", "ok", "every event is recorded")


def _journals(settings: Settings) -> Iterator[Finding]:
    """Runs that the store which others share does not have whole; nothing where there are none."""
    from core.workspace import Workspace  # start-up time: only the doctor opens all of them

    folder = os.path.join(settings.home, "journals")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    if not names:
        return
    with Workspace(settings) as workspace:
        now, leases = workspace.tracking.now(), [workspace.tracking.lease(run) for run in names]
    left = sum(lease is None or lease.expires_at < now for lease in leases)  # the others are at work
    if left:
        what = "1 run is" if left == 1 else f"{left} runs are"
        hint = "the next run on that stack brings them there, or `core runs sync`"
        yield Finding("journals", "warning", f"{what} not whole in the store that others share", hint)


def _secrets(settings: Settings) -> Iterator[Finding]:
    """Whether every secret and connector opens with the key that there is; nothing where there are none."""
    from core.workspace import Workspace  # start-up time: only the doctor opens all of them

    if not os.path.exists(os.path.join(settings.home, "core.db")):
        return  # looking must not make the home
    with Workspace(settings) as workspace:
        secrets = workspace.secrets
        count = 0
        for name in secrets.names():
            secrets.get(name)
            count += 1
        for entry in workspace.connectors.entries():
            workspace.connectors.opened(entry.name)
            count += 1
    if count:
        yield Finding("secrets", "ok", f"{count} secrets and connectors open with their key")


def _plugins(settings: Settings) -> Iterator[Finding]:
    from core.plugins.registry import Registry  # start-up time: broken settings end before this

    registry = Registry(home=settings.home, one_file=settings.plugins)
    for plugin in registry.plugins():
        if plugin.error:
            detail = f"{plugin.name} ({plugin.distribution}) is set aside: {plugin.error}"
            hint = f"mend or remove it; CORE_PLUGINS_BLOCK={plugin.name} silences this"
            yield Finding("plugin", "problem", detail, hint)
        else:
            yield Finding("plugin", "ok", f"{plugin.name} ({plugin.distribution}) is {plugin.state}")
    for double in registry.doubles():
        yield Finding("plugin", "problem", double, "uninstall one of them, or name it in CORE_PLUGINS_BLOCK")


def _integrations(settings: Settings) -> Iterator[Finding]:
    """Changes of packages that were interrupted, and whether versions are those that are wanted."""
    from core.integrations.agreement import agreement, ours  # start-up time: broken settings end before this
    from core.integrations.environment import packages, running  # start-up time: the same
    from core.integrations.journal import pending  # start-up time: the same

    environment = running()
    for each in pending(settings.home, environment.prefix):
        if each.at_work:
            yield Finding("integration", "warning", f"`{each.command}` is at work in {each.prefix}", "wait for it")
        else:
            detail = f"`{each.command}` was interrupted in {each.prefix}"
            yield Finding("integration", "problem", detail, f"`{each.repair}` puts back what was there before")
    there = packages(environment.path)
    lines = agreement(there, ours(there))
    for line in lines:
        if not line.ok:
            yield Finding("integration", "problem", line.told(), "`core integration check` tells more")
    if all(line.ok for line in lines):
        yield Finding("integration", "ok", f"{len(lines)} requirements of core and its plugins hold")


def _stack(settings: Settings) -> Iterator[Finding]:
    """The active stack as a whole, its credentials tried; the default one has nothing to be tried."""
    from core.stack.build import active_entry, shelf_of  # start-up time: only the doctor looks at it unasked
    from core.stack.check import findings as parts  # start-up time: the same
    from core.stack.repository import declared  # start-up time: the same
    from core.workspace import Workspace  # start-up time: the same

    with Workspace(settings) as workspace:
        declared()  # a stack of the repository that can't be read is told, whichever is active
        there = settings.stack or os.path.exists(os.path.join(settings.home, "core.db"))
        active = workspace.active if there else DEFAULT  # looking must not make the home
        if active == DEFAULT:
            yield Finding("stack", "ok", "the default one: everything on this machine")
            return
        shelf = shelf_of(workspace)
        found = parts(workspace, shelf, active_entry(workspace, shelf, active), verify=True)
    for each in found:
        if each.error is None:
            yield Finding("stack", "ok", f"{active!r}: {each.part}")
        else:
            yield Finding("stack", "problem", each.error.message, each.error.hint)


def _arguments(parser: Parser) -> None:
    parser.output()


def _doctor(arguments: Namespace) -> int:
    rows = [finding._asdict() for finding in findings()]
    if arguments.output == "table":
        table(("check", "state", "detail"), [cells for row in rows for cells in _cells(row)])
    else:
        emit(rows, arguments.output)
    problems = sum(row["state"] == "problem" for row in rows)
    say(f"{problems} problems" if problems != 1 else "1 problem")
    return ConfigurationError.exit_code if problems else 0


def _cells(row: Mapping[str, str]) -> Iterator[list[str]]:
    """A finding, and what to do about it on a line of its own."""
    yield [row["check"], row["state"], row["detail"]]
    if row["hint"]:
        yield ["", "", f"  hint: {row['hint']}"]


COMMANDS = {
    "": Command(
        "tell what is wrong with this installation",
        _arguments,
        _doctor,
        "Exits with 6 when there is a problem, with 0 otherwise; warnings don't count.",
    ),
}
