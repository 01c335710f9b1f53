"""`core init`: a project that keeps its own state in `.core/`."""

from __future__ import annotations

import os

from core.cli.command import Command
from core.cli.output import say
from core.errors import ConfigurationError
from core.settings import FOLDER, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from core.cli.command import Parser


def _arguments(parser: Parser) -> None:
    parser.add_argument("folder", nargs="?", default=".", help="the project's folder (default: the working folder)")


def _init(arguments: Namespace) -> int:
    root = os.path.abspath(arguments.folder)
    home = os.path.join(root, FOLDER)
    ignore = os.path.join(home, ".gitignore")
    if os.path.exists(ignore):
        say(f"{home} is there already; nothing changed")
    else:
        try:
            os.makedirs(home, exist_ok=True)
            with open(ignore, "w", encoding="utf-8") as file:
                file.write("# State of core; not for version control.\n*\n")
        except OSError as error:
            raise ConfigurationError(
                f"{home!r} cannot be made: {error.strerror}", "choose a folder that you may write to"
            ) from error
        say(f"made {home}: runs of this project, its artifacts and logs will lie there; git passes it over")
    if os.environ.get("CORE_HOME") and resolve().home != home:
        say(f"note: CORE_HOME={os.environ['CORE_HOME']} is set and goes before {FOLDER}/")
    return 0


COMMANDS = {
    "": Command(
        "make .core/ in a project's folder, so that the project keeps its own state",
        _arguments,
        _init,
        "Without it state lies in the user's data folder, or where CORE_HOME says. Doing it again changes nothing.",
    ),
}
