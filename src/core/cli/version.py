"""`core version`: the version of core."""

from __future__ import annotations

from core.cli.command import Command, no_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


def _version(_arguments: Namespace) -> int:
    from importlib.metadata import version  # start-up time: no other command needs it

    print(version("core"))
    return 0


COMMANDS = {"": Command("print the version", no_arguments, _version)}
