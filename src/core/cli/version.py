"""`core version`: the version of core."""

from __future__ import annotations

from core.cli.command import Command, no_arguments
from core.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


def _version(_arguments: Namespace) -> int:
    print(VERSION)
    return 0


COMMANDS = {"": Command("print the version", no_arguments, _version)}
