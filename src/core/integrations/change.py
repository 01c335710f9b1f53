"""Installs and uninstalls as one change: it is noted first, proved afterwards, and undone when it fails."""

from __future__ import annotations

import os
from contextlib import contextmanager

from core.errors import InfrastructureError
from core.faults import failpoint
from core.integrations.agreement import agreement, broken
from core.integrations.environment import changeable, packages, requirement, versions
from core.integrations.journal import REPAIR, Journal
from core.integrations.own import wanted
from core.integrations.plan import Plan, plan_install, plan_uninstall
from core.integrations.tool import Sources, choose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from core.integrations.agreement import Line
    from core.integrations.environment import Environment

    Agree = Callable[[Plan], bool]


def install(
    pins: Sequence[str],
    environment: Environment,
    home: str,
    agree: Agree,
    *,
    command: str = "core integration install",
    sources: Sources | None = None,
    tool: str = "",
    say: Callable[[str], None] = print,
) -> Plan | None:
    """Install `pins` and what they want; None when `agree`, asked with the plan, says no.

    Everything is resolved and fetched before it is asked. Raises `ConflictError`, `NotFoundError`, `NotAllowedError`
    before anything changed, `InfrastructureError` after all was put back.
    """
    journal = Journal(home, environment)
    if not journal.pending() and _there(pins, environment):
        return Plan(())
    changeable(environment)
    sources = Sources(tuple(map(os.path.abspath, sources.find_links)), sources.no_index) if sources else Sources()
    with journal.alone() as lock:
        using = choose(environment, sources, journal.work, tool)
        using.lock, using.say = lock, say
        say(f"resolving {', '.join(pins)} with {using.name}; what is installed stays as it is")
        plan = plan_install(wanted(pins, using, sources.find_links), environment, using)
        if not plan.changes:
            return plan
        if not agree(plan):
            return None
        with _change(journal, environment, plan, command):
            using.install(plan.pins)
    return plan


def _there(pins: Sequence[str], environment: Environment) -> bool:
    """Whether `pins` and all that they want are installed."""
    here, names = packages(environment.path), dict(map(requirement, pins))
    right = all(name in here and here[name].version == version for name, version in names.items())
    return right and all(line.ok for line in agreement(here, names))


def uninstall(
    names: Sequence[str],
    environment: Environment,
    home: str,
    agree: Agree,
    *,
    command: str = "core integration uninstall",
    tool: str = "",
) -> Plan | None:
    """Remove the packages `names`; None when `agree` says no. Raises as `install` does."""
    changeable(environment)
    journal = Journal(home, environment)
    with journal.alone() as lock:
        using = choose(environment, Sources(), journal.work, tool)
        using.lock = lock
        plan = plan_uninstall(names, environment)
        if not agree(plan):
            return None
        with _change(journal, environment, plan, command):
            using.uninstall(names)
    return plan


def repair(environment: Environment, home: str) -> str:
    """Put back what was there before a change that was interrupted; gives its command, empty when there was none."""
    journal = Journal(home, environment)
    with journal.alone(repairing=True):
        note = journal.pending()
        if not note:
            return ""
        _put_back(journal)
        return str(note["command"])


@contextmanager
def _change(journal: Journal, environment: Environment, plan: Plan, command: str) -> Iterator[None]:
    """What runs inside changes the environment as planned, or not at all."""
    before = packages(environment.path)
    journal.begin(command, [name for name, now, _ in plan.changes if now], plan.unpacked)
    try:
        failpoint("integration.noted")
        yield
        failpoint("integration.changed")
        _prove(plan, environment, broken(before))
    except BaseException as error:
        _put_back(journal)
        if isinstance(error, InfrastructureError):
            raise InfrastructureError(f"{error.message}\n  all is as it was before", error.hint) from error
        raise
    journal.close()


def _prove(plan: Plan, environment: Environment, before: set[Line]) -> None:
    """Look at what is there now: it is what was planned, and nothing disagrees that agreed before."""
    after = packages(environment.path)
    found = versions(after)
    for name, _, then in plan.changes:
        if found.get(name, "") != then:
            told = f"{name} is {found.get(name) or 'missing'} after the change; expected {then or 'nothing'}"
            raise InfrastructureError(told, "try again; --uv and --pip choose the tool")
    wrong = sorted(broken(after) - before)
    if wrong:
        told = "; ".join(line.told() for line in wrong)
        raise InfrastructureError(f"packages do not agree after the change: {told}", "please report this")


def _put_back(journal: Journal) -> None:
    """Restore and close; a restoration that fails keeps the notes, so that it can be tried again."""
    try:
        rest = journal.restore()
    except OSError as error:
        raise InfrastructureError(
            f"what was there before could not be put back: {error}", f"mend that; `{REPAIR}` tries again"
        ) from error
    journal.close()
    if rest:
        told = ", ".join(f"{name}: {before or 'none'} before, {now or 'none'} now" for name, before, now in rest)
        raise InfrastructureError(
            f"files were put back, and yet packages differ: {told}", "another program changed them; reinstall those"
        )
