"""What `core orchestrator`, `artifact-store`, `container-registry` and `image-builder` have in common."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

from core.cli.command import Command
from core.cli.output import emit, listing, say, table
from core.errors import UsageError
from core.stack.entries import ComponentEntry, said, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from core.cli.command import Parser
    from core.cli.output import Columns
    from core.plugins.registry import Registry
    from core.stack.change import Changes
    from core.workspace import Workspace

    Call = Callable[[str, Namespace], int]


@contextmanager
def opened() -> Iterator[Workspace]:
    """A workspace whose store stays open for the length of one command."""
    from core.workspace import Workspace  # start-up time: help and completion need no store

    with Workspace() as workspace:
        yield workspace


@contextmanager
def changing() -> Iterator[Changes]:
    """What changes the catalog, telling the person what it notes."""
    from core.stack.change import Changes  # start-up time: listings change nothing

    with opened() as workspace:
        yield Changes(workspace, say, workspace.actor)


def warn_of(registry: Registry) -> None:
    """Tell of plugins that are set aside: what the person looks for may come from one."""
    for trouble in registry.troubles():
        say(f"warning: {trouble}; `core doctor` tells what to do")


# Arguments -----------------------------------------------------------------------------------------------------------


def _name(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME")


def _two_names(parser: Parser) -> None:
    _name(parser)
    parser.add_argument("to", metavar="NEW_NAME")


def _list_arguments(parser: Parser) -> None:
    parser.output()


def _describe_arguments(parser: Parser) -> None:
    _name(parser)
    parser.output()


def no_verify(parser: Parser) -> None:
    """Add `--no-verify`."""
    parser.add_argument("--no-verify", action="store_true", help="don't try whether it can be used")


def _register_arguments(parser: Parser) -> None:
    _name(parser)
    parser.add_argument("-f", "--flavor", metavar="FLAVOR", required=True, help="implementation; `flavor list` has all")
    _connector(parser, required=False)
    no_verify(parser)
    parser.spaced()


def _update_arguments(parser: Parser) -> None:
    _name(parser)
    about = "setting to take back to its default; may be given again"
    parser.add_argument("--unset", action="append", default=[], metavar="SETTING", help=about)
    no_verify(parser)
    parser.spaced()


def _connector(parser: Parser, *, required: bool) -> None:
    about = "service connector that gives its credentials"
    parser.add_argument("--connector", "--connect", metavar="CONNECTOR", required=required, help=about)
    about = "resource that the connector opens, where the settings don't tell it"
    parser.add_argument("--resource-id", default="", metavar="ID", help=about)


def _connect_arguments(parser: Parser) -> None:
    _name(parser)
    _connector(parser, required=True)
    no_verify(parser)


def _flavor_arguments(parser: Parser) -> None:
    parser.add_argument("what", choices=("list", "describe"), help="all of them, or the settings of one")
    parser.add_argument("flavor", metavar="FLAVOR", nargs="?", help="which one to describe")
    parser.output()


# Verbs ---------------------------------------------------------------------------------------------------------------


def _list(kind: str, arguments: Namespace) -> int:
    from core.stack.build import shelf_of  # start-up time: help needs no catalog

    with opened() as workspace:
        shelf = shelf_of(workspace)
        users: dict[str, list[str]] = {}
        for stack in shelf.stacks():
            users.setdefault(stack.components.get(kind, ""), []).append(stack.name)
        rows = [{**_data(entry), "stacks": users.get(entry.name, [])} for entry in shelf.components(kind)]
    columns: Columns = {"name": str, "flavor": str, "connector": str, "stacks": ", ".join, "origin": str}
    listing(rows, arguments.output, columns)
    return 0


def _data(entry: ComponentEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "flavor": entry.flavor,
        "settings": shown(entry.settings),
        "connector": entry.connector,
        "resource_id": entry.resource_id,
        "origin": entry.origin,
    }


def _describe(kind: str, arguments: Namespace) -> int:
    from core.stack.build import shelf_of  # start-up time: help needs no catalog

    with opened() as workspace:
        shelf = shelf_of(workspace)
        data = {**_data(shelf.component(kind, arguments.name)), "stacks": shelf.users(kind, arguments.name)}
    if arguments.output != "table":
        emit(data, arguments.output)
        return 0
    settings = {f"settings.{name}": value for name, value in data.pop("settings").items()}
    pairs = {**data, "stacks": ", ".join(data["stacks"]), **settings}
    table(("field", "value"), [(name, _written(value)) for name, value in pairs.items() if value != ""])
    return 0


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    import json  # start-up time: few settings are no texts

    return json.dumps(value)


def _register(kind: str, arguments: Namespace) -> int:
    with changing() as changes:
        settings = _settings(changes, kind, arguments.flavor, arguments.given)
        entry = ComponentEntry(
            kind, arguments.name, arguments.flavor, settings, arguments.connector or "", arguments.resource_id
        )
        changes.register(entry, verify=not arguments.no_verify)
    say(f"{entry.noun} is registered")
    return 0


def _settings(changes: Changes, kind: str, flavor: str, given: Mapping[str, str | None]) -> dict[str, Any]:
    """What was typed, as the flavor's settings take it; an unknown flavor is said first."""
    cls = changes.means.registry.flavor(kind, flavor)
    if not given:
        return {}
    from core.stack.fields import from_texts  # start-up time: it brings pydantic

    return from_texts(cls, {name.replace("-", "_"): text for name, text in given.items()})


def _update(kind: str, arguments: Namespace) -> int:
    if not arguments.given and not arguments.unset:
        hint = f"`core {kind.replace('_', '-')} flavor describe FLAVOR` tells the settings"
        raise UsageError("nothing is to be changed: give --SETTING=VALUE or --unset SETTING", hint)
    with changing() as changes:
        entry = changes.shelf.component(kind, arguments.name)
        settings = _settings(changes, kind, entry.flavor, arguments.given)
        drop = tuple(name.replace("-", "_") for name in arguments.unset)
        changes.update(kind, arguments.name, settings, drop=drop, verify=not arguments.no_verify)
    say(f"{entry.noun} is updated")
    return 0


def _rename(kind: str, arguments: Namespace) -> int:
    with changing() as changes:
        users = changes.rename(kind, arguments.name, arguments.to)
    carried = f"; stacks carried along: {', '.join(users)}" if users else ""
    say(f"{said(kind)} {arguments.name!r} is now {arguments.to!r}{carried}")
    return 0


def _copy(kind: str, arguments: Namespace) -> int:
    with changing() as changes:
        changes.copy(kind, arguments.name, arguments.to)
    say(f"{said(kind)} {arguments.to!r} is a copy of {arguments.name!r}")
    return 0


def _delete(kind: str, arguments: Namespace) -> int:
    with changing() as changes:
        changes.delete(kind, arguments.name)
    say(f"{said(kind)} {arguments.name!r} is deleted")
    return 0


def _connect(kind: str, arguments: Namespace) -> int:
    with changing() as changes:
        verify = not arguments.no_verify
        changes.connect(kind, arguments.name, arguments.connector, arguments.resource_id, verify=verify)
    say(f"{said(kind)} {arguments.name!r} takes its credentials from connector {arguments.connector!r}")
    return 0


def _disconnect(kind: str, arguments: Namespace) -> int:
    with changing() as changes:
        connector = changes.disconnect(kind, arguments.name)
    say(f"{said(kind)} {arguments.name!r} is no longer linked to connector {connector!r}")
    return 0


def _flavor(kind: str, arguments: Namespace) -> int:
    if arguments.what == "list":
        with opened() as workspace:
            rows = [{"name": flavor.name, "doc": flavor.doc} for flavor in workspace.registry.flavors(kind)]
            warn_of(workspace.registry)
        listing(rows, arguments.output, {"name": str, "doc": str})
        return 0
    if not arguments.flavor:
        hint = f"`core {kind.replace('_', '-')} flavor list` lists them"
        raise UsageError(f"core {kind.replace('_', '-')} flavor describe: FLAVOR is missing", hint)
    with opened() as workspace:
        cls = workspace.registry.flavor(kind, arguments.flavor)
        doc = next(flavor.doc for flavor in workspace.registry.flavors(kind) if flavor.name == arguments.flavor)
    from core.stack.fields import describe  # start-up time: it brings pydantic

    settings = describe(cls)
    if arguments.output != "table":
        resource = {"resource_type": cls.resource_type, "remote": bool(cls.remote)}
        emit({"name": arguments.flavor, "doc": doc, **resource, "settings": settings}, arguments.output)
        return 0
    print(f"{arguments.flavor}: {doc}")
    if cls.resource_type:
        print(f"credentials: a service connector for {cls.resource_type}, or what its machine has")
    print("\nsettings:" if settings else "\nthere is nothing to set")
    for row in settings:
        print(f"  --{row['name']}: {row['doc']} ({_about(row)})")
    return 0


def _about(row: Mapping[str, Any]) -> str:
    """What the flavor says of a setting beside its one line."""
    facts = [word for word in ("required", "secret") if row[word]]
    facts += [] if row["type"] == "text" else [row["type"]]
    facts += [] if row["required"] or row["default"] in (None, "") else [f"default {_written(row['default'])}"]
    return "; ".join(facts) or "text"


def commands(kind: str) -> dict[str, Command]:
    """The verbs of one component type."""
    noun, cli = said(kind), f"core {kind.replace('_', '-')}"
    every = {
        "register": (f"register {_a(noun)}", _register_arguments, _register, _REGISTER.format(cli=cli)),
        "list": (f"list every {noun}", _list_arguments, _list, ""),
        "describe": (f"show one {noun} and its settings", _describe_arguments, _describe, ""),
        "update": (f"change settings of {_a(noun)}", _update_arguments, _update, ""),
        "rename": (f"rename {_a(noun)}; stacks that have it are carried along", _two_names, _rename, ""),
        "copy": (f"copy {_a(noun)}", _two_names, _copy, ""),
        "delete": (f"delete {_a(noun)} that no stack has", _name, _delete, ""),
        "connect": (f"let a service connector open {_a(noun)}", _connect_arguments, _connect, ""),
        "disconnect": (f"take the service connector of {_a(noun)} away", _name, _disconnect, ""),
        "flavor": (f"list the flavors of {_a(noun)}, or describe one", _flavor_arguments, _flavor, ""),
    }
    return {
        verb: Command(summary, arguments, partial(call, kind), details, open=verb in {"register", "update"})
        for verb, (summary, arguments, call, details) in every.items()
    }


_REGISTER = """\
Settings of the flavor are options too: `{cli} flavor describe FLAVOR` lists them.
A value may refer to a secret: --NAME='{{{{secret.key}}}}'.
"""


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
