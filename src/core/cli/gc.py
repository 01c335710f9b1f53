"""`core gc`: deletes what nothing needs, after it has said what that is."""

from __future__ import annotations

import sys

from core.cli.command import Command, natural
from core.cli.lookup import opened
from core.cli.output import emit, say, size
from core.collect import DAY, digests, find, sweep
from core.errors import CorruptDataError, StoreError, UsageError
from core.stack.opened import default_store
from core.text import safe, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from core.cli.command import Parser
    from core.collect import Garbage
    from core.ports.artifact_store import ArtifactStore
    from core.workspace import Workspace

_UNITS = {"m": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY}


def _arguments(parser: Parser) -> None:
    parser.output()
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be deleted")
    parser.add_argument(
        "--older-than", metavar="TIME", help="also forget runs that ended longer ago than this, such as 30d, 12h, 2w"
    )
    about = "newest completed runs of each pipeline that stay whatever their age (default: %(default)s)"
    parser.add_argument("--keep", type=natural, default=1, help=about)
    parser.add_argument("-y", "--yes", action="store_true", help="delete without asking")


def _age(text: str | None) -> float | None:
    """Seconds of `30d`."""
    if text is None:
        return None
    number, unit = text[:-1], _UNITS.get(text[-1:].lower())
    try:
        seconds = float(number) * (unit or 0.0)
    except ValueError:
        unit = None
    if unit is None or not 0 <= seconds < float("inf"):
        raise UsageError(f"--older-than {text!r} is no time", "write a number and m, h, d or w, such as 30d")
    return seconds


def _gc(arguments: Namespace) -> int:
    age = _age(arguments.older_than)
    with opened() as client:
        workspace = client.workspace
        tracking, logs = workspace.tracking, workspace.logs
        store, others = _collected(workspace)
        garbage = find(tracking, store, logs, older_than=age, keep=arguments.keep, others=others)
        if arguments.output != "table":
            emit(_data(garbage), arguments.output)
        else:
            _tell(garbage)
        if arguments.dry_run or not any((garbage.runs, garbage.blobs, garbage.uploads, garbage.logs)):
            return 0
        if not arguments.yes and not _agreed():
            say("nothing was deleted; --yes deletes without asking")
            return 0
        failed = sweep(tracking, store, logs, garbage, others)
        for line in failed:
            say(f"not deleted: {line}")
        if failed:
            raise StoreError(
                f"{len(failed)} artifacts could not be deleted from {store.uri}", "mend that, and run `core gc` again"
            )
        say("deleted")
    return 0


def _collected(workspace: Workspace) -> tuple[ArtifactStore, set[str] | None]:
    """The store that is looked at; where others use it, too, digests that they need and this home does not know of."""
    store, own = workspace.stack.artifact_store, default_store(workspace.settings)
    sharing = workspace.sharing
    if sharing is None:
        if store.uri == own.uri:
            return store, None
        why = "other homes may use it, and nothing there tells"
    else:
        unusable = [each for each in sharing.sync().aside if each.name.endswith(".json")]
        try:
            if not unusable:
                return store, set(digests(sharing.unknown()))
            why = f"object {unusable[0].name!r} can't be used: {unusable[0].why}"
        except CorruptDataError as error:
            why = error.message
        why += "; it may tell of what somebody needs"
    say(f"what lies in {store.uri} stays: {safe(why)}")
    return own, None


def _agreed() -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write("delete? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _data(garbage: Garbage) -> dict[str, object]:
    return {
        "runs": [row.id for row in garbage.runs],
        "artifacts": [blob.digest for blob in garbage.blobs],
        "bytes": garbage.size,
        "uploads": garbage.uploads,
        "logs": list(garbage.logs),
        "kept_runs": garbage.kept,
        "held_runs": garbage.held,
        "runs_at_work": garbage.at_work,
    }


def _tell(garbage: Garbage) -> None:
    print(
        f"runs to forget          {len(garbage.runs)}  {' '.join(short(row.id) for row in garbage.runs[:5])}".rstrip()
    )
    print(f"artifacts nobody needs  {len(garbage.blobs)}  {size(garbage.size)}")
    print(f"half-written files      {garbage.uploads}")
    print(f"logs without a run      {len(garbage.logs)}")
    print(f"runs that stay          {garbage.kept}  ({garbage.held} held, {garbage.at_work} at work)")
    if garbage.at_work and garbage.runs:
        say("a run is at work: the artifacts of runs that are forgotten now go next time")


COMMANDS = {
    "": Command(
        "delete what no kept run needs, after saying what that is",
        _arguments,
        _gc,
        "Artifacts younger than a day stay. `core runs hold RUN` keeps a run whatever its age.\n\n"
        "    core gc --dry-run\n"
        "    core gc --older-than 30d --keep 5 --yes",
    ),
}
