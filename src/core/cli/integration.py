"""`core integration`: installs plugin packages so that what is installed keeps agreeing, and proves it."""

from __future__ import annotations

import shlex
import sys

from core.cli.command import Command, no_arguments
from core.cli.output import emit, listing, say, table
from core.errors import ConfigurationError, UsageError
from core.settings import resolve
from core.text import clean_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.cli.command import Parser
    from core.cli.output import Columns
    from core.integrations.plan import Plan
    from core.plugins.flavor import Integration
    from core.plugins.registry import Registry

    Rows = list[dict[str, Any]]


def _registry() -> Registry:
    from core.plugins.registry import Registry  # start-up time: `--help` asks no plugin

    settings = resolve()
    return Registry(home=settings.home, one_file=settings.plugins)


def _chosen(names: Sequence[str]) -> list[Integration]:
    registry = _registry()
    return [registry.integration(name) for name in dict.fromkeys(names)]


def _pins(chosen: Sequence[Integration]) -> list[str]:
    return list(dict.fromkeys(pin for each in chosen for pin in each.requirements))


def _tell_pending() -> None:
    """Say what an earlier command left unfinished; this one goes on where it may."""
    from core.integrations.environment import running  # start-up time: `--help` looks at no environment
    from core.integrations.journal import pending  # start-up time: the same

    for each in pending(resolve().home, running().prefix):
        if each.at_work:
            say(clean_lines(f"`{each.command}` is at work in {each.prefix}"))
        else:
            say(clean_lines(f"`{each.command}` was interrupted in {each.prefix}: packages may be half installed"))
            say(clean_lines(f"  hint: `{each.repair}` puts back what was there before"))


def _names(parser: Parser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="an integration; `core integration list` has them")


def _how(parser: Parser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    tools = parser.add_mutually_exclusive_group()
    about = "use {0}, and nothing else (default: uv where it is there, else pip)"
    for name in ("uv", "pip"):
        tools.add_argument(
            f"--{name}", dest="tool", action="store_const", const=name, default="", help=about.format(name)
        )


def _install_arguments(parser: Parser) -> None:
    _names(parser)
    _how(parser)
    parser.add_argument(
        "--find-links", action="append", default=[], metavar="DIR", help="a folder of wheels; may be given again"
    )
    parser.add_argument("--no-index", action="store_true", help="take packages from --find-links only")


def _may_ask(arguments: Namespace, verb: str) -> None:
    if not (arguments.yes or arguments.dry_run or (sys.stdin.isatty() and sys.stderr.isatty())):
        raise UsageError(
            f"there is no terminal to ask whether to {verb} {' '.join(arguments.names)}",
            f"-y goes on without asking: `core integration {verb} {' '.join(arguments.names)} -y`",
        )


def _asking(arguments: Namespace, verb: str) -> Callable[[Plan], bool]:
    """Shows a plan, and asks where it is to be asked."""

    def agree(plan: Plan) -> bool:
        rows = [[name, now, then, _word(now, then)] for name, now, then in plan.changes]
        table(("package", "now", "then", "change"), rows)
        if arguments.yes or arguments.dry_run:
            return not arguments.dry_run
        sys.stdout.flush()
        sys.stderr.write(f"{verb} in {sys.prefix}? [Y/n] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        return bool(answer) and answer.strip().lower() in {"", "y", "yes"}

    return agree


def _word(now: str, then: str) -> str:
    return "added" if not now else "changed" if then else "removed"


def _typed(arguments: Namespace, verb: str) -> str:
    return shlex.join(["core", "integration", verb, *arguments.names])


def _install(arguments: Namespace) -> int:
    chosen = _chosen(arguments.names)
    _may_ask(arguments, "install")
    from core.integrations.change import install  # start-up time: listings change nothing
    from core.integrations.environment import running  # start-up time: the same
    from core.integrations.tool import Sources  # start-up time: the same

    names = " ".join(each.name for each in chosen)
    plan = install(
        _pins(chosen),
        running(),
        resolve().home,
        _asking(arguments, "install"),
        command=_typed(arguments, "install"),
        sources=Sources(tuple(arguments.find_links), arguments.no_index),
        tool=arguments.tool,
        say=say,
    )
    if plan is None:
        say("nothing was changed")
    elif not plan.changes:
        say(f"{names}: installed already, and all that it wants is there")
    else:
        say(f"installed {names}: {_count(plan)}; `core integration check` proves that they agree")
        flavors = dict.fromkeys(flavor for each in chosen for flavor in each.flavors)
        connectors = dict.fromkeys(f"service connector {name}" for each in chosen for name in each.connectors)
        say(f"  it brings {', '.join([*flavors, *connectors])}")
    return 0


def _count(plan: Plan) -> str:
    words = [_word(now, then) for _, now, then in plan.changes]
    return ", ".join(f"{words.count(word)} {word}" for word in ("added", "changed", "removed") if word in words)


def _uninstall_arguments(parser: Parser) -> None:
    _names(parser)
    _how(parser)


def _uninstall(arguments: Namespace) -> int:
    chosen = _chosen(arguments.names)
    _may_ask(arguments, "uninstall")
    from core.integrations.change import uninstall  # start-up time: listings change nothing
    from core.integrations.environment import packages, requirement, running  # start-up time: the same

    environment = running()
    there = packages(environment.path)
    names = [name for name, _ in map(requirement, _pins(chosen)) if name in there]
    if not names:
        say(f"{' '.join(each.name for each in chosen)}: not installed; nothing was changed")
        return 0
    plan = uninstall(
        names,
        environment,
        resolve().home,
        _asking(arguments, "uninstall"),
        command=_typed(arguments, "uninstall"),
        tool=arguments.tool,
    )
    if plan is None:
        say("nothing was changed")
        return 0
    say(f"uninstalled {', '.join(names)}")
    if plan.unneeded:
        say(f"nothing that is installed wants these any longer, and they stay: {' '.join(plan.unneeded)}")
    return 0


def _listing_arguments(parser: Parser) -> None:
    parser.output()


def _list(arguments: Namespace) -> int:
    from core.integrations.environment import packages, requirement, running  # start-up time: `--help` needs none

    _tell_pending()
    there = packages(running().path)
    rows: Rows = []
    for each in _registry().integrations():
        pins = [requirement(pin) for pin in each.requirements]
        found = [there[name].version for name, _ in pins if name in there]
        complete = bool(pins) and len(found) == len(pins)
        state = "installed" if complete else "available" if pins else "not built yet"
        rows.append(
            {
                "name": each.name,
                "state": state,
                "installed": found[0] if complete else None,
                "requirements": list(each.requirements),
                "flavors": list(each.flavors),
                "connectors": list(each.connectors),
                "doc": each.doc,
            }
        )
    if arguments.output == "table":
        headings = ("name", "state", "installed", "flavors", "connectors")
        table(headings, [[_cell(row[name]) for name in headings] for row in rows])
    else:
        emit(rows, arguments.output)
    return 0


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else value or ""


def _requirements_arguments(parser: Parser) -> None:
    _names(parser)
    parser.output()


def _requirements(arguments: Namespace) -> int:
    pins = _pins(_chosen(arguments.names))
    if arguments.output == "table":
        print("\n".join(pins))
    else:
        emit(pins, arguments.output)
    return 0


def _check(arguments: Namespace) -> int:
    from core.integrations.agreement import agreement, ours  # start-up time: `--help` reads no metadata
    from core.integrations.environment import packages, running  # start-up time: the same

    _tell_pending()
    there = packages(running().path)
    roots = ours(there)
    lines = agreement(there, roots)
    wrong = [line for line in lines if not line.ok]
    names = ", ".join(f"{name} {there[name].version}" for name in roots)
    if arguments.output != "table" or wrong:
        rows = [{**line._asdict(), "found": line.found or None} for line in lines]
        shown = [row for row in rows if not row["ok"]] if arguments.output == "table" else rows
        columns: Columns = {"package": str, "version": str, "wants": str, "found": lambda found: found or "nothing"}
        listing(shown, arguments.output, columns)
    if wrong:
        raise ConfigurationError(
            f"{len(wrong)} of {len(lines)} requirements of {names} and of what they want do not hold",
            "`core integration install NAME` brings what is missing; change what has another version, or begin anew",
        )
    say(f"{len(lines)} requirements of {names} and of what they want hold")
    return 0


def _repair(_arguments: Namespace) -> int:
    from core.integrations.change import repair  # start-up time: listings change nothing
    from core.integrations.environment import running  # start-up time: the same

    command = repair(running(), resolve().home)
    if command:
        say(f"all is as it was before `{command}`, which was interrupted; you may do it again")
    else:
        say("nothing was interrupted here")
    return 0


COMMANDS = {
    "install": Command(
        "install integrations, with all that they want, or change nothing",
        _install_arguments,
        _install,
        "Packages that are installed keep their versions: a conflict is told before anything changes. All is resolved\n"
        "and fetched first, then shown, then asked for; what fails is undone. Plugins come from the folder that\n"
        "--find-links names, from the checkout that core runs from, or from an index that you configured; what they\n"
        "want comes from uv's or pip's usual index, too.\n\n"
        "    core integration install aws\n"
        "    core integration install aws -y --find-links dist",
    ),
    "uninstall": Command(
        "remove the packages of integrations; what they wanted stays, and is named",
        _uninstall_arguments,
        _uninstall,
        "    core integration uninstall aws -y",
    ),
    "list": Command("list integrations, and what each brings", _listing_arguments, _list),
    "requirements": Command(
        "print the packages of integrations, pinned, for a requirements file",
        _requirements_arguments,
        _requirements,
        "    core integration requirements aws >> requirements.txt",
    ),
    "check": Command(
        "prove that core, its plugins and all that they want have the versions that are wanted",
        _listing_arguments,
        _check,
        "Follows every requirement to its end. Prints those that do not hold, with -o json all of them.\n"
        "Exits with 6 when one does not hold.",
    ),
    "repair": Command("put back what was there before an install that was interrupted", no_arguments, _repair),
}
