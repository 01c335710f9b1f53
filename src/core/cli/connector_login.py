"""Verbs of `core service-connector` that let local tools use a connector."""

from __future__ import annotations

import os
import shlex
import sys

from core.cli.command import Command
from core.cli.output import emit, say
from core.errors import NotFoundError, UsageError
from core.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from core.cli.command import Parser
    from core.connectors import Connectors, Renewing

_LOGIN = """Prints what a shell must run; nothing secret is in it, and nothing that you have set up is changed:

    eval "$(core service-connector login cloud_connector)"
    eval "$(core service-connector login cloud_connector --resource-type kubernetes-cluster --resource-id prod)"
"""


def _arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the connector")
    parser.add_argument("--resource-type", default="", metavar="TYPE", help="what to use; it says which tool")
    parser.add_argument("--resource-id", default="", metavar="ID", help="which one (default: the only one in reach)")


def _login_arguments(parser: Parser) -> None:
    _arguments(parser)
    parser.output(("shell", "json", "yaml"))


def _login(arguments: Namespace) -> int:
    from core.connectors.login import caller, login, write  # start-up time: only here

    with Workspace() as workspace:
        give = _chosen(workspace.connectors, workspace, arguments)
    given, home = give(), workspace.home
    call = caller(home, workspace.settings.project, arguments.name, give.resource_type, give.resource_id)
    made = login(arguments.name, given, call, os.environ)
    variables = write(home, arguments.name, made)
    if arguments.output != "shell":
        emit({"environment": variables, "unset": list(made.unset)}, arguments.output)
    else:
        for variable in made.unset:
            print(f"unset {variable}")
        for variable, value in variables.items():
            print(f"export {variable}={shlex.quote(value)}")
        if sys.stdout.isatty():
            say(f'run it: eval "$(core service-connector login {shlex.quote(arguments.name)} ...)"')
    say(made.said + (f"; {', '.join(made.unset)} would be stronger and must go" if made.unset else ""))
    return 0


def _chosen(connectors: Connectors, workspace: Workspace, arguments: Namespace) -> Renewing:
    """What gives the credentials that the arguments ask for; the only resource where none is named."""
    from core.connectors.login import tool_type  # start-up time: only here

    data = connectors.entry(arguments.name).data
    kind = workspace.registry.connector_type(data["type"])
    wanted = tool_type(kind, arguments.resource_type or data.get("resource_type", ""))
    resource = arguments.resource_id or data.get("resource_id", "")
    if not resource and any(each.name == wanted and each.form for each in kind.resource_types):
        (found,) = connectors.resources(arguments.name, wanted)
        if found.error is not None:
            raise found.error
        if not found.ids:
            raise NotFoundError(f"service connector {arguments.name!r} reaches no {wanted}", "has it the permissions?")
        if len(found.ids) > 1:
            raise UsageError(f"{arguments.name!r} reaches several: {', '.join(found.ids)}", "give --resource-id")
        resource = found.ids[0]
    return connectors.credentials(arguments.name, wanted, resource)


def _print_arguments(parser: Parser) -> None:
    _arguments(parser)
    parser.add_argument("--tool", choices=("aws", "kubectl", "docker"), required=True, help="for whom")


def _print(arguments: Namespace) -> int:
    from core.connectors.login import printed  # start-up time: only here

    with Workspace() as workspace:
        give = workspace.connectors.credentials(arguments.name, arguments.resource_type, arguments.resource_id)
    print(printed(arguments.tool, give()))
    return 0


COMMANDS = {
    "login": Command("let aws, kubectl or docker use a connector", _login_arguments, _login, _LOGIN),
    "print-credentials": Command(
        "print credentials in the clear; what `login` set up calls it", _print_arguments, _print
    ),
}
