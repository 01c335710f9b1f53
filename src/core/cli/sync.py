"""`core runs sync`: brings runs of others who share an artifact store into this home."""

from __future__ import annotations

from core.cli.command import Command
from core.cli.output import emit, say
from core.errors import UsageError
from core.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from core.cli.command import Parser

SHOWN = 10
"""Objects that are named one by one, at most."""


def _arguments(parser: Parser) -> None:
    parser.add_argument("--stack", metavar="NAME", help="stack whose store is read, instead of the active one")
    parser.output()


def _sync(arguments: Namespace) -> int:
    from core.settings import resolve  # start-up time: only where a stack is named
    from core.workspace import Workspace  # start-up time: help and completion need no store

    with Workspace(resolve({"stack": arguments.stack} if arguments.stack else {})) as workspace:
        synced = workspace.sync()
        if synced is None:
            uri = workspace.stack.artifact_store.uri
            raise UsageError(
                f"nobody shares the artifact store of stack {workspace.stack.name!r} ({uri})",
                "`core stack list` tells the stacks; a folder that others use, too, is registered with --shared true",
            )
        if arguments.output != "table":
            aside = [each._asdict() for each in synced.aside]
            emit({"runs": list(synced.runs), "events": synced.events, "aside": aside}, arguments.output)
            return 0
        for run in synced.runs:
            print(run)
        what = f"{_many(len(synced.runs), 'run')}, {_many(synced.events, 'event')}" if synced.events else "nothing"
        say(f"new from {workspace.stack.artifact_store.uri}: {what}")
        for each in synced.aside[:SHOWN]:
            say(f"set aside: {safe(each.name)}: {safe(each.why)}")
        if len(synced.aside) > SHOWN:
            say(f"and {len(synced.aside) - SHOWN} more; -o json tells them all")
    return 0


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


COMMANDS = {
    "sync": Command(
        "bring the runs of all who share the stack's artifact store into this home",
        _arguments,
        _sync,
        "The ids of runs with news go to stdout. What can't be used in the store is named and left alone.\n\n"
        "    core runs sync --stack cloud",
    ),
}
