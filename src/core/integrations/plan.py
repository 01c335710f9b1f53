"""What an installation would change: resolved against all that is installed, fetched, and proved to agree."""

from __future__ import annotations

import os
import shutil

from core.errors import ConflictError, NotFoundError
from core.integrations.agreement import Line, agreement, broken
from core.integrations.environment import Package, difference, packages, versions
from core.integrations.own import at_hand, metadata
from core.integrations.tool import Unsolvable
from core.model.value import Value
from core.plugins.discover import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.integrations.environment import Environment
    from core.integrations.tool import Tool

NO_ROOM = "an environment of its own has room for it: `python3 -m venv .venv`, and install core there"


class Plan(Value):
    """What is going to change."""

    changes: tuple[tuple[str, str, str], ...]
    """`(package, version now, version then)`; empty where there is none."""
    pins: tuple[str, ...] = ()
    """The packages to install, as the tool takes them."""
    unpacked: str = ""
    """Folder in which they lie unpacked."""
    unneeded: tuple[str, ...] = ()
    """Packages that nothing wants any longer once the plan is done."""


def plan_install(requirements: Sequence[str], environment: Environment, tool: Tool) -> Plan:
    """Resolve `requirements` (as `own.wanted` gives them) so that nothing else that is installed changes.

    Raises `ConflictError` with who wants what, before anything has changed.
    """
    before = packages(environment.path)
    wheels = _own(requirements)
    _direct(before, wheels)
    named = {canonical(text.split(" @ ")[0].partition("==")[0]) for text in requirements}
    fixed = [f"{each.name}=={each.version}" for name, each in before.items() if name not in named]
    try:
        found = tool.resolve(requirements, fixed)
    except (Unsolvable, NotFoundError) as error:
        raise _conflict(error, requirements, before, tool) from error
    by_path = {name: text for name, text in ((text.split(" @ ")[0], text) for text in requirements) if name in wheels}
    pins = tuple(by_path.get(name, f"{name}=={version}") for name, version in found.items())
    tool.say(f"fetching {len(pins)} packages; nothing is changed yet")
    after = {**before, **_unpacked(pins, tool)}
    wrong = broken(after) - broken(before)
    if wrong:
        raise ConflictError(_told(wrong, before), NO_ROOM)
    return Plan(tuple(difference(versions(before), versions(after))), pins, _folder(tool))


def plan_uninstall(names: Sequence[str], environment: Environment) -> Plan:
    """Remove `names`; raises `ConflictError` when something that stays wants one of them."""
    before = packages(environment.path)
    after = {name: each for name, each in before.items() if name not in names}
    wrong = sorted(broken(after) - broken(before))
    if wrong:
        who = "\n".join(f"  {line.package} {line.version} wants {line.wants}" for line in wrong)
        raise ConflictError(f"what is installed still wants {', '.join(names)}:\n{who}", "uninstall that first")
    theirs = {line.name for line in agreement(before, names)} & after.keys()
    kept = {line.name for line in agreement(after, (after.keys() - theirs) | {"core"})}
    left = tuple(sorted(theirs - kept - {"core"}))
    return Plan(tuple(difference(versions(before), versions(after))), unneeded=left)


def _folder(tool: Tool) -> str:
    return os.path.join(tool.work, "unpacked")


def _unpacked(pins: Sequence[str], tool: Tool) -> dict[str, Package]:
    """The packages of `pins`, fetched and unpacked."""
    folder = _folder(tool)
    shutil.rmtree(folder, ignore_errors=True)
    if not pins:
        return {}
    tool.unpack(pins, folder)
    return packages([folder])


def _own(requirements: Sequence[str]) -> dict[str, Package]:
    """The wheels at hand, as what they are before they are unpacked."""
    paths = at_hand(requirements)
    return {name: Package(name, os.path.basename(at).split("-")[1], metadata(at), "") for name, at in paths.items()}


def _direct(before: Mapping[str, Package], own: Mapping[str, Package]) -> None:
    """Refuse at once what the wheels at hand say themselves; no network is needed for it."""
    after = {**before, **own}
    wrong = [line for line in broken(after) - broken(before) if line.found]
    if wrong:
        raise ConflictError(_told(wrong, before), NO_ROOM)


def _conflict(error: Exception, requirements: Sequence[str], before: Mapping[str, Package], tool: Tool) -> Exception:
    """Who wants what: what would have to change, were it allowed to; the tool's own words where nothing helps."""
    try:
        found = tool.resolve(requirements, [f"core=={before['core'].version}"] if "core" in before else [])
        free = _unpacked([f"{name}=={v}" for name, v in found.items() if name not in at_hand(requirements)], tool)
    except (Unsolvable, NotFoundError):
        free = {}
    own = _own(requirements)
    strangers = {name: each for name, each in {**free, **own}.items() if name not in before or name in own}
    wrong = [line for line in broken({**before, **strangers}) - broken(before) if line.found]
    if wrong:
        return ConflictError(_told(wrong, before), NO_ROOM)
    if isinstance(error, NotFoundError):
        return error
    return ConflictError(f"the packages do not fit together; nothing was changed\n{error}", NO_ROOM)


def _told(wrong: Iterable[Line], before: Mapping[str, Package]) -> str:
    """The conflict in words: who wants what, and who keeps it as it is."""
    told = ["that does not fit into this environment; nothing was changed"]
    keepers: dict[str, set[str]] = {}
    for each in agreement(before):
        keepers.setdefault(each.name, set()).add(f"    {each.package} {each.version} wants {each.wants}")
    for line in sorted(wrong):
        alone = [f"    nothing else wants {line.name}: you may change it yourself"] if line.name in before else []
        told += [f"  {line.told()}", *(sorted(keepers.get(line.name, ())) or alone)]
    return "\n".join(told)
