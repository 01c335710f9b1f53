"""Verbs of `core runs` that keep a run from `core gc`, and let it go again."""

from __future__ import annotations

from core.cli.command import Command
from core.cli.lookup import opened
from core.cli.output import say
from core.text import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from core.cli.command import Parser


def _run_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="id of a run, its first or last characters, or `latest`")


def _hold_arguments(parser: Parser) -> None:
    _run_arguments(parser)
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for whoever wonders later")


def _hold(arguments: Namespace) -> int:
    with opened() as client:
        run = client.hold(arguments.run, arguments.reason)
    say(f"run {short(run)} is held: `core gc` keeps it")
    return 0


def _release(arguments: Namespace) -> int:
    with opened() as client:
        run = client.release(arguments.run)
    say(f"run {short(run)} is no longer held")
    return 0


COMMANDS = {
    "hold": Command("keep a run whatever its age", _hold_arguments, _hold),
    "release": Command("let `core gc` forget a run that was held", _run_arguments, _release),
}
