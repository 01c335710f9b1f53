"""`core runs`: list, show, compare and delete runs, and read their logs; `control` has the verbs that act on them."""

from __future__ import annotations

from core.cli.command import Command, natural
from core.cli.control import COMMANDS as CONTROL
from core.cli.hold import COMMANDS as HOLD
from core.cli.logs import LOGS
from core.cli.lookup import opened
from core.cli.output import emit, lasted, listing, local, say, size, table
from core.cli.sync import COMMANDS as SYNC
from core.errors import ConflictError
from core.model.states import RunState
from core.text import clean_lines, iso, readable, safe, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from typing import Any

    from core.cli.command import Parser
    from core.ports.tracking_store import RunRow
    from core.view import RunView, StepView


def add_run(parser: Parser, name: str = "run") -> None:
    """The argument that says which run is meant."""
    parser.add_argument(name, metavar=name.upper(), help="id of a run, its first or last characters, or `latest`")


def _list_arguments(parser: Parser) -> None:
    parser.output()
    parser.add_argument(
        "--limit", type=natural, default=50, help="how many at most, newest first; 0 for all (default: %(default)s)"
    )
    parser.add_argument("--before", metavar="RUN", help="list what is older than this run: the next page")
    parser.add_argument("--pipeline", metavar="NAME", help="only runs of this pipeline")
    parser.add_argument("--state", choices=[str(state) for state in RunState], help="only runs in this state")


def _list(arguments: Namespace) -> int:
    with opened() as client:
        before = client.run(arguments.before).id if arguments.before else None
        rows = client.runs(
            limit=arguments.limit or None,
            before=before,
            pipeline=arguments.pipeline,
            state=arguments.state,
        )
    if arguments.output == "table":
        headings = ("run", "pipeline", "state", "started", "time", "stack")
        table(headings, [_cells(row) for row in rows])
        if not rows:
            say("no runs yet; `core run FILE:PIPELINE` makes one")
        return 0
    listing([_row(row) for row in rows], arguments.output, {})
    return 0


def _cells(row: RunRow) -> list[str]:
    took = "" if row.state == RunState.LOST else lasted(row.started_at, row.ended_at)
    return [short(row.id), row.pipeline, str(row.state), local(row.started_at), took, row.stack]


def _row(row: RunRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "pipeline": row.pipeline,
        "state": str(row.state),
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "stack": row.stack,
        "project": row.project,
        "actor": row.actor,
    }


def _show_arguments(parser: Parser) -> None:
    add_run(parser)
    parser.output()


def _show(arguments: Namespace) -> int:
    with opened() as client:
        run = client.run(arguments.run)
        if arguments.output != "table":
            emit(run.to_data(), arguments.output)
            return 0
        _describe(run)
    return 0


def _describe(run: RunView) -> None:
    took = "" if run.state == RunState.LOST else lasted(run.started_at, run.ended_at)
    facts: dict[str, Any] = {
        "run": run.id,
        "pipeline": run.pipeline,
        "state": str(run.state) + (f": {run.error}" if run.error else ""),
        "stack": run.stack,
        "started": f"{local(run.started_at)}  ({took})" if took else local(run.started_at),
        "parameters": _pairs(run.parameters),
        "tags": ", ".join(run.tags),
    }
    for name, value in facts.items():
        if value:
            print(f"{name:<11} {safe(str(value))}")
    for reference, steps in _images(run).items():
        print(f"{'image':<11} {safe(reference)}  ({safe(', '.join(steps))})")
    print()
    table(("step", "state", "time", "attempts", "outputs", "reason"), [_step(step) for step in run.steps.values()])
    told = [step for step in run.steps.values() if step.metadata]
    if told:
        print()
    for step in told:
        print(f"{safe(step.name)} logged: {safe(_pairs(step.metadata))}")
    for step in run.steps.values():
        if step.error:
            print(f"\n{safe(step.name)} failed: {clean_lines(_error(step.error))}")


def _images(run: RunView) -> dict[str, list[str]]:
    """The steps that ran in each image, or will; of a step that got another when the run was resumed, the newest."""
    newest = {step: image["reference"] for image in run.images for step in image["steps"]}
    return {one: [step for step in newest if newest[step] == one] for one in newest.values()}


def _step(step: StepView) -> list[str]:
    outputs = ", ".join(
        f"{name}: {artifact.ref.type.partition(':')[2]} {size(artifact.ref.size)}"
        for name, artifact in step.outputs.items()
    )
    begun = sum(attempt.started_at is not None for attempt in step.attempts)
    took = lasted(step.started_at, step.ended_at) if step.ended_at else ""
    return [step.name, str(step.state), took, str(begun or ""), outputs, step.reason]


def _error(error: Mapping[str, Any]) -> str:
    return str(error.get("traceback") or f"{error.get('type', '')}: {error.get('message', '')}").rstrip()


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={readable(value)}" for name, value in values.items())


def _diff_arguments(parser: Parser) -> None:
    add_run(parser, "a")
    add_run(parser, "b")
    parser.output()


def _diff(arguments: Namespace) -> int:
    with opened() as client:
        difference = client.diff(client.run(arguments.a).id, client.run(arguments.b).id)
        if arguments.output != "table":
            emit(difference.to_data(), arguments.output)
        else:
            print(clean_lines(difference.text()))
    return 0


def _delete_arguments(parser: Parser) -> None:
    parser.add_argument(
        "run", metavar="RUN", nargs="+", help="ids of runs, their first or last characters, or `latest`"
    )
    parser.add_argument("--force", action="store_true", help="delete runs that are at work, too")
    about = "remove them from the store that others share, too: journal and logs; who has synced keeps what came"
    parser.add_argument("--everywhere", action="store_true", help=about)


def _delete(arguments: Namespace) -> int:
    with opened() as client:
        runs = [client.run(text) for text in arguments.run]
        for run in runs:
            if run.state == RunState.RUNNING and not arguments.force:
                raise ConflictError(
                    f"run {short(run.id)} is at work; nothing was deleted", "wait for its end, or give --force"
                )
        for identity in dict.fromkeys(run.id for run in runs):
            client.delete_run(identity, everywhere=arguments.everywhere)
            say(f"deleted run {identity}")
    return 0


COMMANDS = {
    "list": Command("list runs, newest first", _list_arguments, _list),
    "show": Command("show a run: its steps, why each ran, its outputs and errors", _show_arguments, _show),
    "logs": LOGS,
    "diff": Command(
        "compare two runs: code, parameters, environment, artifacts, timings",
        _diff_arguments,
        _diff,
        "    core runs diff 1f3a99c2 latest",
    ),
    "delete": Command("forget runs; their artifacts stay until nothing needs them", _delete_arguments, _delete),
    **CONTROL,
    **SYNC,
    **HOLD,
}
