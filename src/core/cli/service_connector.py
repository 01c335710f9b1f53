"""`core service-connector`: what authenticates to a cloud, and hands out short-lived credentials for a resource."""

from __future__ import annotations

import os

from core.cli.command import Command
from core.cli.connector_login import COMMANDS as OF_TOOLS
from core.cli.connector_types import COMMANDS as OF_TYPES
from core.cli.output import emit, listing, say
from core.cli.values import read_values
from core.errors import UsageError
from core.secrets.reference import refers
from core.text import safe
from core.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.cli.command import Parser
    from core.connectors import Connectors, Draft, Found
    from core.ports.catalog import Entry
    from core.ports.service_connector import ConnectorType

_SETTINGS = """Settings of the auth method are options too; `core service-connector describe-type TYPE` lists them:
  --token=@FILE   the file's text (@@ for a value that begins with @)
  --token=-       what is piped in
  --token         asked for in a terminal
  --token=VALUE   as it stands there; a secret is then seen by other users and the shell's history, and warned of
"""


def _register_arguments(parser: Parser) -> None:
    _name(parser)
    parser.add_argument(
        "-t", "--type", required=True, metavar="TYPE", help="`core service-connector list-types` lists them"
    )
    parser.add_argument(
        "--auto-configure", action="store_true", help="take what this machine's own tools are set up with"
    )
    _limits(parser)


def _limits(parser: Parser) -> None:
    parser.add_argument(
        "--auth-method", default="", metavar="METHOD", help="how to authenticate (default: the type's first)"
    )
    parser.add_argument("--resource-type", metavar="TYPE", help="give credentials for this type of resource only")
    parser.add_argument("--resource-id", metavar="ID", help="give credentials for this resource only")
    parser.add_argument("--no-verify", action="store_true", help="do not ask the cloud whether it is right")


def _name(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the connector")


def _register(arguments: Namespace) -> int:
    with Workspace() as workspace:
        kind = workspace.registry.connector_type(arguments.type)
        draft = workspace.connectors.draft(
            arguments.name,
            arguments.type,
            arguments.auth_method,
            _read(kind, arguments.given),
            arguments.resource_type or "",
            arguments.resource_id or "",
            os.environ if arguments.auto_configure else None,
        )
        identity = "" if arguments.no_verify else workspace.connectors.try_out(draft)
        workspace.connectors.register(draft)
    _said("is registered", draft, identity)
    return 0


def _update_arguments(parser: Parser) -> None:
    _name(parser)
    _limits(parser)
    parser.add_argument("--remove", action="append", default=[], metavar="SETTING", help="unset it; may be repeated")


def _update(arguments: Namespace) -> int:
    with Workspace() as workspace:
        connectors = workspace.connectors
        kind = workspace.registry.connector_type(connectors.entry(arguments.name).data["type"])
        given = _read(kind, arguments.given)
        limits = arguments.resource_type, arguments.resource_id
        if not (given or arguments.remove or arguments.auth_method or any(each is not None for each in limits)):
            raise UsageError("nothing is to be changed", "give a setting, --remove SETTING, or another option")
        draft = connectors.changed(arguments.name, arguments.auth_method, given, arguments.remove, *limits)
        identity = "" if arguments.no_verify else connectors.try_out(draft)
        connectors.update(draft)
    _said("is changed", draft, identity)
    return 0


def _read(kind: ConnectorType, given: Mapping[str, str | None]) -> dict[str, str]:
    """The values that were given; which are secret, the type tells."""
    fields = {field.name: field for method in kind.methods for field in method.fields}

    def secret(key: str) -> bool:
        field = fields.get(key.replace("-", "_"))
        return field is not None and field.secret and not refers(given[key])

    return read_values(given, secret)


def _said(what: str, draft: Draft, identity: str) -> None:
    who = f", as {safe(identity)}" if identity else "; nobody was asked whether it is right"
    say(f"service connector {draft.name!r} {what}: {draft.kind.name}, {draft.method}{who}")


def _list_arguments(parser: Parser) -> None:
    parser.output()


def _list(arguments: Namespace) -> int:
    with Workspace() as workspace:
        rows = [_row(entry) for entry in workspace.connectors.entries()]
    columns = ("name", "type", "method", "resource_type", "resource_id")
    listing(rows, arguments.output, dict.fromkeys(columns, str))
    return 0


def _row(entry: Entry) -> dict[str, Any]:
    """A connector as people may see it."""
    data = entry.data
    return {
        "name": entry.name,
        "type": data["type"],
        "method": data["method"],
        "resource_type": data.get("resource_type", ""),
        "resource_id": data.get("resource_id", ""),
        "settings": {**data["settings"], **dict.fromkeys(data["secrets"], "***")},
    }


def _describe_arguments(parser: Parser) -> None:
    _name(parser)
    parser.output()


def _describe(arguments: Namespace) -> int:
    with Workspace() as workspace:
        entry = workspace.connectors.entry(arguments.name)
        row = {**_row(entry), "used_by": list(workspace.connectors.users(arguments.name)), "actor": entry.actor}
    if arguments.output != "table":
        emit(row, arguments.output)
        return 0
    settings = row.pop("settings")
    lines = {**row, "used_by": ", ".join(row["used_by"]), **settings}
    shown = [{"field": key.replace("_", " "), "value": str(value)} for key, value in lines.items() if value]
    listing(shown, "table", {"field": str, "value": str})
    return 0


def _resources_arguments(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="only of this connector (default: of all)")
    parser.add_argument(
        "--resource-type", default="", metavar="TYPE", help="only of this type, such as kubernetes-cluster"
    )
    parser.add_argument(
        "-e", "--exclude-errors", action="store_true", help="leave out connectors that could not be asked"
    )
    parser.output()


def _resources(arguments: Namespace) -> int:
    with Workspace() as workspace:
        connectors = workspace.connectors
        names = [arguments.name] if arguments.name else [e.name for e in connectors.offering(arguments.resource_type)]
        _known_type(workspace, arguments.resource_type)
        found = _asked(connectors, names, arguments.resource_type)
    shown = [each for each in found if each.error is None or not arguments.exclude_errors]
    _print_resources(shown, arguments.output)
    errors = [each.error for each in found if each.error is not None]
    if errors and len(errors) == len(found) and not arguments.exclude_errors:
        return errors[0].exit_code
    return 0


def _asked(connectors: Connectors, names: Sequence[str], resource_type: str) -> list[Found]:
    """What each connector reaches; several are asked at once."""

    def ask(name: str) -> list[Found]:
        return list(connectors.resources(name, resource_type))

    if len(names) < 2:
        return [each for name in names for each in ask(name)]
    from concurrent.futures import ThreadPoolExecutor  # start-up time: only here

    with ThreadPoolExecutor(8) as executor:
        return [each for found in executor.map(ask, names) for each in found]


def _known_type(workspace: Workspace, resource_type: str) -> None:
    """Refuse a resource type that no connector type has, with the closest."""
    from core.text import closest  # start-up time: only here

    known = sorted({each.name for kind in workspace.registry.connector_types() for each in kind.resource_types})
    if resource_type and resource_type not in known:
        raise UsageError(
            f"no connector type has resources of type {resource_type!r}{closest(resource_type, known)}",
            f"the types are {', '.join(known)}; `core integration install` brings more",
        )


def _print_resources(found: list[Found], form: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "connector": each.connector,
            "type": each.type,
            "resource_type": each.resource_type,
            "resources": list(each.ids),
            "error": None if each.error is None else each.error.message,
        }
        for each in found
    ]
    if form != "table":
        emit(rows, form)
        return
    lines = []
    for row in rows:
        whole = {key: row[key] for key in ("connector", "type", "resource_type")}
        ids = row["resources"] or ["" if row["error"] is None else f"error: {row['error']}"]
        lines += [
            {**whole, "resource": each or "(none)" if not row["resources"] else each or "(the only one)"}
            for each in ids
        ]
    listing(lines, "table", dict.fromkeys(("connector", "type", "resource_type", "resource"), str))


def _verify_arguments(parser: Parser) -> None:
    _name(parser)
    parser.add_argument(
        "--resource-type", default="", metavar="TYPE", help="try credentials for this type of resource too"
    )
    parser.add_argument("--resource-id", default="", metavar="ID", help="try credentials for this resource too")


def _verify(arguments: Namespace) -> int:
    with Workspace() as workspace:
        who = workspace.connectors.verify(arguments.name, arguments.resource_type, arguments.resource_id)
    say(f"service connector {arguments.name!r} is right: it is {safe(who)}")
    return 0


def _delete_arguments(parser: Parser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="names of connectors")
    parser.add_argument("--force", action="store_true", help="also when components use it")


def _delete(arguments: Namespace) -> int:
    from shutil import rmtree  # start-up time: only here

    from core.connectors.login import folder_of  # start-up time: only here
    from core.stack.repository import declared  # start-up time: only here

    with Workspace() as workspace:
        components = () if arguments.force else declared().components
        for name in arguments.names:
            others = [f"{entry.noun} ({entry.origin})" for entry in components if entry.connector == name]
            workspace.connectors.delete(name, force=arguments.force, others=others)
            rmtree(folder_of(workspace.home, name), ignore_errors=True)
            say(f"service connector {name!r} is deleted")
    return 0


COMMANDS = {
    "register": Command("register a connector", _register_arguments, _register, _SETTINGS, open=True),
    "list": Command("list connectors", _list_arguments, _list),
    **OF_TYPES,
    "list-resources": Command("list what connectors reach", _resources_arguments, _resources),
    "verify": Command("ask the cloud whether a connector is right", _verify_arguments, _verify),
    "describe": Command("show one connector; never its secrets", _describe_arguments, _describe),
    "update": Command("change settings of a connector", _update_arguments, _update, _SETTINGS, open=True),
    "delete": Command("delete connectors", _delete_arguments, _delete),
    **OF_TOOLS,
}
