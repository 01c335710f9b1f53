"""`core secret`: values that are kept encrypted, and referred to by `{{name.key}}`."""

from __future__ import annotations

from core.cli.command import Command
from core.cli.output import emit, listing, local, say
from core.cli.values import read_file, read_values
from core.errors import UsageError
from core.secrets.reference import references
from core.text import closest, iso
from core.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from core.cli.command import Parser

_VALUES = """Each `--key=...` names a key:
  --password=@FILE   the file's text, without the line end at its end (@@ for a value that begins with @)
  --password=-       what is piped in
  --password         asked for in a terminal
  --password=VALUE   as it stands there, where other users and the shell's history can read it: warned of
"""
_USE = "`{{NAME.KEY}}` in a component's settings or a step's environment stands for the value."


def _name(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the secret")


def _create(arguments: Namespace) -> int:
    if not arguments.given:
        raise UsageError(f"secret {arguments.name!r} has no key", "give at least one, such as --password=@FILE")
    values = read_values(arguments.given)
    with Workspace() as workspace:
        workspace.secrets.create(arguments.name, values)
    say(f"secret {arguments.name!r} is kept: {', '.join(f'{{{{{arguments.name}.{key}}}}}' for key in values)}")
    return 0


def _update_arguments(parser: Parser) -> None:
    _name(parser)
    parser.add_argument("--remove", action="append", default=[], metavar="KEY", help="take a key away; may be repeated")


def _update(arguments: Namespace) -> int:
    if not (arguments.given or arguments.remove):
        raise UsageError("nothing is to be changed", "give a key, such as --password=@FILE, or --remove KEY")
    values = read_values(arguments.given)
    with Workspace() as workspace:
        workspace.secrets.update(arguments.name, values, arguments.remove)
    say(f"secret {arguments.name!r} is changed")
    return 0


def _list_arguments(parser: Parser) -> None:
    parser.output()


def _list(arguments: Namespace) -> int:
    with Workspace() as workspace:
        entries = workspace.secrets.entries()
    rows = [
        {
            "name": entry.name,
            "keys": list(entry.data["values"]),
            "changed_at": iso(entry.changed_at),
            "actor": entry.actor,
        }
        for entry in entries
    ]
    changed = {iso(entry.changed_at): local(entry.changed_at) for entry in entries}
    listing(rows, arguments.output, {"name": str, "keys": ", ".join, "changed_at": changed.__getitem__, "actor": str})
    return 0


def _show_arguments(parser: Parser) -> None:
    _name(parser)
    parser.output()
    parser.add_argument("--values", action="store_true", help="print the values in the clear")
    parser.add_argument("--key", default="", metavar="KEY", help="only this key; with --values, its bare value")


def _show(arguments: Namespace) -> int:
    name, wanted = arguments.name, arguments.key
    with Workspace() as workspace:
        secrets = workspace.secrets
        values = secrets.get(name) if arguments.values else dict.fromkeys(secrets.keys(name), "***")
    if wanted:
        if wanted not in values:
            raise UsageError(
                f"secret {name!r} has no key {wanted!r}{closest(wanted, values)}", f"it has {', '.join(values)}"
            )
        values = {wanted: values[wanted]}
    if wanted and arguments.values and arguments.output == "table":
        print(values[wanted])
    elif arguments.output == "table":
        listing([{"key": key, "value": value} for key, value in values.items()], "table", {"key": str, "value": str})
    else:
        emit({"name": name, "values": values}, arguments.output)
    return 0


def _delete_arguments(parser: Parser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="names of secrets")
    parser.add_argument("--force", action="store_true", help="also when something refers to it")


def _delete(arguments: Namespace) -> int:
    from core.stack.repository import declared  # start-up time: only here

    with Workspace() as workspace:
        components = () if arguments.force else declared().components
        for name in arguments.names:
            users = [e for e in components if any(used == name for used, _ in references(e.settings))]
            others = [f"{entry.noun} ({entry.origin})" for entry in users]
            workspace.secrets.delete(name, force=arguments.force, others=others)
            say(f"secret {name!r} is deleted")
    return 0


def _import_arguments(parser: Parser) -> None:
    _name(parser)
    parser.add_argument("file", metavar="FILE", help="a .env, JSON or YAML file; - for standard input")
    parser.add_argument(
        "--format", choices=("env", "json", "yaml"), help="of the file (default: as its name says, else env)"
    )
    parser.add_argument("--update", action="store_true", help="set these keys of a secret that is there")


def _import(arguments: Namespace) -> int:
    from core.secrets.files import format_of, parse  # start-up time: only here

    text = read_file(arguments.file, "core secret import")
    values = parse(text, arguments.format or format_of(arguments.file), arguments.file)
    empty = [key for key, value in values.items() if not value]
    if empty or not values:
        what = f"key {empty[0]!r} of {arguments.file!r} is empty" if empty else f"{arguments.file!r} holds no key"
        raise UsageError(what, "give each key a value")
    with Workspace() as workspace:
        if arguments.update:
            workspace.secrets.update(arguments.name, values)
        else:
            workspace.secrets.create(arguments.name, values)
    say(f"secret {arguments.name!r} has {', '.join(values)}")
    return 0


COMMANDS = {
    "create": Command("keep values under a new name", _name, _create, f"{_VALUES}{_USE}", open=True),
    "list": Command("list secrets and their keys", _list_arguments, _list),
    "show": Command("show the keys of a secret; its values only with --values", _show_arguments, _show),
    "update": Command("set or remove keys of a secret", _update_arguments, _update, _VALUES, open=True),
    "delete": Command("delete secrets", _delete_arguments, _delete),
    "import": Command("keep the values of a .env, JSON or YAML file", _import_arguments, _import, _USE),
}
