"""Verbs of `core service-connector` about the types that there are."""

from __future__ import annotations

from core.cli.command import Command
from core.cli.component import warn_of
from core.cli.output import emit, listing
from core.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from core.cli.command import Parser
    from core.cli.output import Columns
    from core.ports.service_connector import AuthField, ConnectorType


def _list_arguments(parser: Parser) -> None:
    parser.output()


def _list(arguments: Namespace) -> int:
    registry = Workspace().registry
    kinds = registry.connector_types()
    warn_of(registry)
    rows = [_data(kind) for kind in kinds]
    columns: Columns = {"name": str, "methods": _names, "resource_types": _names}
    listing(rows, arguments.output, columns)
    return 0


def _names(items: list[dict[str, Any]]) -> str:
    return ", ".join(item["name"] for item in items)


def _describe_arguments(parser: Parser) -> None:
    parser.add_argument("type", metavar="TYPE", help="`core service-connector list-types` lists them")
    parser.output()


def _describe(arguments: Namespace) -> int:
    kind = Workspace().registry.connector_type(arguments.type)
    if arguments.output != "table":
        emit(_data(kind), arguments.output)
        return 0
    auto = "yes" if kind.auto else "no"
    print(f"{kind.name}: {kind.doc}\nconfigures itself (--auto-configure): {auto}\n\nresource types:")
    for each in kind.resource_types:
        form = f" ({each.form})" if each.form else ""
        print(f"  {each.name}{form}: {each.doc}")
    for method in kind.methods:
        print(f"\n--auth-method {method.name}: {method.doc}")
        for field in method.fields:
            print(f"  --{field.name}: {field.doc}{_about(field)}")
    return 0


def _about(field: AuthField) -> str:
    """What the type says of a field beside its one line."""
    facts = [word for word, holds in (("required", field.required), ("secret", field.secret)) if holds]
    facts += [f"default {field.default}"] if field.default else []
    facts += [f"one of {', '.join(field.choices)}"] if field.choices else []
    return f" ({'; '.join(facts)})" if facts else ""


def _data(kind: ConnectorType) -> dict[str, Any]:
    """The type as plain data."""
    return {
        "name": kind.name,
        "doc": kind.doc,
        "auto_configure": kind.auto,
        "resource_types": [each._asdict() for each in kind.resource_types],
        "methods": [
            {"name": method.name, "doc": method.doc, "settings": [field._asdict() for field in method.fields]}
            for method in kind.methods
        ],
    }


COMMANDS = {
    "list-types": Command("list the types of connectors", _list_arguments, _list),
    "describe-type": Command("show what a type reaches, and how it authenticates", _describe_arguments, _describe),
}
