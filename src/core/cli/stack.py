"""`core stack`: the stacks that there are."""

from __future__ import annotations

from core.cli.command import Command
from core.cli.output import listing
from core.settings import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from core.cli.command import Parser

DEFAULT = "default"  # the name in core.stack, whose import would build components for a listing


def _list_arguments(parser: Parser) -> None:
    parser.output()


def _list(arguments: Namespace) -> int:
    active = resolve().stack or DEFAULT
    components = {"orchestrator": "local", "artifact_store": "local"}
    rows = [{"name": DEFAULT, "active": active == DEFAULT, "components": components}]
    listing(rows, arguments.output, {"name": str, "active": lambda on: "yes" if on else "", "components": _written})
    return 0


def _written(components: Mapping[str, str]) -> str:
    return ", ".join(f"{kind}: {name}" for kind, name in components.items())


COMMANDS = {"list": Command("list stacks", _list_arguments, _list)}
