"""`core config`: the settings that hold here, and where each comes from."""

from __future__ import annotations

from core.cli.command import Command
from core.cli.output import listing
from core.settings import origins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from core.cli.command import Parser
    from core.cli.output import Columns


def _arguments(parser: Parser) -> None:
    parser.output()
    parser.add_argument("--origin", action="store_true", help="tell where each value comes from")


def _show(arguments: Namespace) -> int:
    rows = [
        {"name": name, "value": list(value) if isinstance(value, tuple) else value, "origin": where}
        for name, value, where in origins(arguments.overrides)
    ]
    columns: Columns = {"name": str, "value": _written, "origin": str}
    if not arguments.origin:
        columns = {"name": str, "value": _written}
        rows = [{"name": row["name"], "value": row["value"]} for row in rows]
    listing(rows, arguments.output, columns)
    return 0


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(value) if isinstance(value, list) else str(value)


COMMANDS = {
    "show": Command(
        "show the settings",
        _arguments,
        _show,
        "Strongest first: the command line, CORE_* in the environment, [tool.core] in the nearest pyproject.toml,\n"
        "the user's file (core/config.toml in the platform's folder for configuration).",
    ),
}
