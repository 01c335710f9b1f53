"""`core stack`: stacks are registered, made active, listed and shown."""

from __future__ import annotations

from core.cli.command import Command
from core.cli.component import changing, no_verify, opened
from core.cli.output import emit, listing, say, table
from core.stack.entries import TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from typing import Any

    from core.cli.command import Parser
    from core.cli.output import Columns
    from core.stack.entries import Shelf, StackEntry


def _parts(parser: Parser) -> None:
    """The component of each type, by name; `-o` is the orchestrator here."""
    for option in TYPES:
        words = option.replace("_", " ")
        letters = f"-{option[0]}", f"--{option.replace('_', '-')}"
        parser.add_argument(*letters, dest=option, metavar="NAME", help=f"name of {_a(words)}")


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _register_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME")
    _parts(parser)
    no_verify(parser)


def _name(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME")


def _describe_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="by default the active one")
    parser.output()


def _list_arguments(parser: Parser) -> None:
    parser.output()


def _register(arguments: Namespace) -> int:
    with changing() as changes:
        changes.register_stack(arguments.name, _given(arguments))
    say(f"stack {arguments.name!r} is registered; `core stack set {arguments.name}` makes it the active one")
    return 0


def _given(arguments: Namespace) -> dict[str, str]:
    return {kind: getattr(arguments, kind) for kind in TYPES if getattr(arguments, kind)}


def _set(arguments: Namespace) -> int:
    with changing() as changes:
        changes.set_active(arguments.name)
        held = changes.means.settings.stack
    say(f"the active stack is {arguments.name!r}")
    if held and held != arguments.name:
        say(f"but the setting `stack` says {held!r} here, and goes before; `core config show --origin` tells where")
    return 0


def _get_arguments(parser: Parser) -> None:
    parser.output(("text", "json", "yaml"))


def _get(arguments: Namespace) -> int:
    with opened() as workspace:
        name = workspace.active
    if arguments.output == "text":
        print(name)
    else:
        emit({"name": name}, arguments.output)
    return 0


def _list(arguments: Namespace) -> int:
    with opened() as workspace:
        shelf, active = _shelf(workspace), workspace.active
        rows = [_row(stack, active) for stack in shelf.stacks()]
    columns: Columns = {"name": str, "active": _yes, "components": _written, "origin": str}
    listing(rows, arguments.output, columns)
    return 0


def _shelf(workspace: Any) -> Shelf:
    from core.stack.build import shelf_of  # start-up time: help needs no catalog

    return shelf_of(workspace)


def _row(stack: StackEntry, active: str) -> dict[str, Any]:
    return {
        "name": stack.name,
        "active": stack.name == active,
        "components": dict(stack.components),
        "origin": stack.origin,
    }


def _describe(arguments: Namespace) -> int:
    with opened() as workspace:
        shelf, active = _shelf(workspace), workspace.active
        stack = shelf.stack(arguments.name or active)
        parts = [shelf.component(kind, name) for kind, name in stack.components.items()]
    if arguments.output != "table":
        keys = ("name", "flavor", "connector")
        told = {entry.kind: {key: getattr(entry, key) for key in keys} for entry in parts}
        emit({**_row(stack, active), "components": told}, arguments.output)
        return 0
    say(f"stack {stack.name!r} ({stack.origin}){' is active' if stack.name == active else ''}")
    rows = [(entry.kind.replace("_", " "), entry.name, entry.flavor, entry.connector) for entry in parts]
    table(("component", "name", "flavor", "connector"), rows)
    return 0


def _yes(on: bool) -> str:  # noqa: FBT001 - a cell of a table
    return "yes" if on else ""


def _written(components: Mapping[str, str]) -> str:
    return ", ".join(f"{kind}: {name}" for kind, name in components.items())


COMMANDS = {
    "register": Command(
        "register a stack of components",
        _register_arguments,
        _register,
        "Orchestrator and artifact store are `default` where none is named. `-o` is the orchestrator here:\n"
        "    core stack register cloud -o cloud_orchestrator -a cloud_artifact_store -c cloud_container_registry",
    ),
    "set": Command("make a stack the active one", _name, _set),
    "get": Command("print the name of the active stack", _get_arguments, _get),
    "list": Command("list stacks", _list_arguments, _list),
    "describe": Command("show a stack and its components", _describe_arguments, _describe),
}
