"""`core stack`: stacks are registered, made active, listed and shown."""

from __future__ import annotations

from core.cli.command import Command
from core.cli.component import changing, no_verify, opened
from core.cli.output import emit, listing, say, table
from core.errors import ConflictError, UsageError
from core.stack.entries import TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from typing import Any

    from core.cli.command import Parser
    from core.cli.output import Columns
    from core.stack.entries import Shelf, StackEntry
    from core.workspace import Workspace


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
        changes.register_stack(arguments.name, _given(arguments), verify=not arguments.no_verify)
    say(f"stack {arguments.name!r} is registered; `core stack set {arguments.name}` makes it the active one")
    return 0


def _update_arguments(parser: Parser) -> None:
    _register_arguments(parser)
    types = tuple(kind.replace("_", "-") for kind in TYPES)
    parser.add_argument(
        "--remove", action="append", default=[], type=_dashed, choices=types, help="take this component away"
    )


def _dashed(text: str) -> str:
    return text.replace("_", "-")


def _update(arguments: Namespace) -> int:
    given, drop = _given(arguments), [kind.replace("-", "_") for kind in arguments.remove]
    if not given and not drop:
        raise UsageError("nothing is to be changed", "give -o, -a, -c, -i or --remove TYPE")
    with changing() as changes:
        changes.update_stack(arguments.name, given, drop, verify=not arguments.no_verify)
    say(f"stack {arguments.name!r} is updated")
    return 0


def _copy_arguments(parser: Parser) -> None:
    _name(parser)
    parser.add_argument("to", metavar="NEW_NAME")


def _copy(arguments: Namespace) -> int:
    with changing() as changes:
        changes.copy_stack(arguments.name, arguments.to)
    say(f"stack {arguments.to!r} is a copy of {arguments.name!r}")
    return 0


def _delete(arguments: Namespace) -> int:
    with changing() as changes:
        changes.delete_stack(arguments.name)
    say(f"stack {arguments.name!r} is deleted")
    return 0


def _validate_arguments(parser: Parser) -> None:
    _describe_arguments(parser)
    no_verify(parser)


def _validate(arguments: Namespace) -> int:
    from core.stack.check import findings, refuse  # start-up time: help needs no catalog

    with opened() as workspace:
        shelf = _shelf(workspace)
        stack = _chosen(workspace, shelf, arguments.name)
        found = findings(workspace, shelf, stack, verify=not arguments.no_verify)
    rows = [
        {
            "part": each.part,
            "state": "ok" if each.error is None else "problem",
            "detail": each.error.message if each.error else "",
            "hint": each.error.hint if each.error else "",
        }
        for each in found
    ]
    listing(rows, arguments.output, dict.fromkeys(("part", "state"), str))
    refuse(stack.name, [each.error for each in found if each.error is not None], "mend these, and look again")
    return 0


def _export_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("file", metavar="FILE", nargs="?", help="YAML file to write (default: standard output)")


def _export(arguments: Namespace) -> int:
    from core.stack.transfer import export  # start-up time: help needs no catalog

    with opened() as workspace:
        data = export(_shelf(workspace), arguments.name)
    if not arguments.file:
        emit(data, "yaml")
        return 0
    import yaml  # start-up time: few commands write a file

    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    try:
        with open(arguments.file, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConflictError(f"there is a file {arguments.file!r} already", "name another, or remove it") from None
    except OSError as error:
        raise UsageError(f"{arguments.file!r} cannot be written: {error.strerror}", "name another file") from error
    say(f"stack {arguments.name!r} is in {arguments.file}; secrets are not")
    return 0


def _import_arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="what `core stack export` wrote")
    no_verify(parser)


def _import(arguments: Namespace) -> int:
    from core.stack.transfer import read_in  # start-up time: help needs no catalog

    with changing() as changes:
        made, todo = read_in(changes, arguments.file, verify=not arguments.no_verify)
    say(f"registered: {', '.join(made)}" if made else "all of it is registered already")
    for line in todo:
        say(f"to be done: {line}")
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
        for clash in shelf.clashes():
            say(f"warning: {clash}")
    columns: Columns = {"name": str, "active": _yes, "components": _written, "origin": str}
    listing(rows, arguments.output, columns)
    return 0


def _shelf(workspace: Workspace) -> Shelf:
    from core.stack.build import shelf_of  # start-up time: help needs no catalog

    return shelf_of(workspace)


def _chosen(workspace: Workspace, shelf: Shelf, name: str | None) -> StackEntry:
    """The stack `name`, or the active one."""
    if name:
        return shelf.stack(name)
    from core.stack.build import active_entry  # start-up time: help needs no catalog

    return active_entry(workspace, shelf, workspace.active)


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
        stack = _chosen(workspace, shelf, arguments.name)
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
    "update": Command("give a stack other components", _update_arguments, _update),
    "copy": Command("copy a stack", _copy_arguments, _copy),
    "delete": Command("delete a stack; its components stay", _name, _delete),
    "validate": Command(
        "look at a stack as a whole, and try its credentials",
        _validate_arguments,
        _validate,
        "Exits with the code of the first problem (6 for what is missing or wrong, 4 for credentials).",
    ),
    "export": Command(
        "write a stack to a file for another machine, without secrets",
        _export_arguments,
        _export,
        "The file can also be committed as `core.yaml`: then the stack is there for everyone in that folder.",
    ),
    "import": Command("register what a file of `core stack export` holds", _import_arguments, _import),
    "set": Command("make a stack the active one", _name, _set),
    "get": Command("print the name of the active stack", _get_arguments, _get),
    "list": Command("list stacks", _list_arguments, _list),
    "describe": Command("show a stack and its components", _describe_arguments, _describe),
}
