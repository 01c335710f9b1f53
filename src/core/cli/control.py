"""Verbs of `core runs` that change what becomes of a run: resume, retry, cancel."""

from __future__ import annotations

import time

from core.cli.command import Command, natural
from core.cli.lookup import opened
from core.cli.output import emit, say
from core.cli.replay import COMMANDS as REPLAY
from core.errors import ConflictError, NotFoundError, RunFailed, UsageError
from core.model.states import ENDED_RUN, RunState
from core.text import clean_lines, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from core.cli.command import Parser
    from core.client import Client
    from core.run import Pipeline
    from core.view import RunView

MARGIN = 10.0
"""Seconds beside `grace` that `core runs cancel` waits: for the owner to hear of it, and to record the end."""
LONGEST = 1.0
"""Seconds between two looks at a run that is to end, at most."""


def _run_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="id of a run, its first or last characters, or `latest`")


def _resume_arguments(parser: Parser) -> None:
    from core.cli.run import add_workers  # start-up time: other verbs need no pipeline

    _run_arguments(parser)
    about = "its pipeline, where that can't be found by the name and folder that are recorded"
    parser.add_argument("target", metavar="FILE:PIPELINE", nargs="?", help=about)
    add_workers(parser)
    _detach_argument(parser)
    parser.output()


def _detach_argument(parser: Parser) -> None:
    parser.add_argument("--detach", action="store_true", help="leave it where the stack runs steps: see `core run`")


def _resume(arguments: Namespace) -> int:
    with opened() as client:
        return _go_on(client, client.run(arguments.run), arguments, ())


def _retry_arguments(parser: Parser) -> None:
    from core.cli.run import add_workers  # start-up time: other verbs need no pipeline

    _run_arguments(parser)
    parser.add_argument("step", metavar="STEP", nargs="+", help="runs once more, and so does what depends on it")
    parser.add_argument(
        "--pipeline",
        dest="target",
        metavar="FILE:PIPELINE",
        help="where it can't be found by the name and folder that are recorded",
    )
    add_workers(parser)
    _detach_argument(parser)
    parser.output()


def _retry(arguments: Namespace) -> int:
    with opened() as client:
        return _go_on(client, client.run(arguments.run), arguments, tuple(arguments.step))


def _go_on(client: Client, run: RunView, arguments: Namespace, retry: Sequence[str]) -> int:
    from core.cli.run import clear_stdout, told  # start-up time: only what runs steps
    from core.replay import PREFIX
    from core.resume import resume  # start-up time: the same

    if run.pipeline.startswith(PREFIX):
        of = short(run.id)
        raise UsageError(
            f"run {of} is a replay of one step: there is nothing to go on with", "replay it again: `core runs replay`"
        )
    target = None
    if run.state != RunState.RUNNING and (retry or run.state != RunState.COMPLETED):
        target = _pipeline(run, arguments.target, retry)
        _tell_changes(client, run)
    if arguments.detach:
        return _detached(client, run.id, target, arguments, retry)
    try:
        with clear_stdout(arguments.output):
            view = resume(client.workspace, run.id, target, retry=retry, workers=arguments.workers)
    except RunFailed as failed:
        if arguments.output != "table":
            emit(failed.run.to_data(), arguments.output)
        raise
    told(view, arguments.output)
    return 0


def _detached(
    client: Client, run: str, target: Pipeline[..., object] | None, arguments: Namespace, retry: Sequence[str]
) -> int:
    from core.cli.run import tell_left  # start-up time: only what runs steps
    from core.detach import resume_detached  # start-up time: the same

    view = resume_detached(client.workspace, run, target, retry=retry, workers=arguments.workers, say=say)
    tell_left(view, arguments.output)
    return 0


def _pipeline(run: RunView, target: str | None, retry: Sequence[str]) -> Pipeline[..., object]:
    if target is not None:
        from core.cli.target import find_pipeline  # start-up time: only where it is named

        return find_pipeline(target)
    from core.resume import pipeline_of  # start-up time: only what runs steps

    try:
        return pipeline_of(run)
    except NotFoundError as error:
        words = f"retry {short(run.id)} {' '.join(retry)} --pipeline" if retry else f"resume {short(run.id)}"
        raise NotFoundError(error.message, f"name it: `core runs {words} FILE:PIPELINE`") from error


def _tell_changes(client: Client, run: RunView) -> None:
    """Say what is not as it was when the run began; its pipeline is imported by now."""
    from core.replay import client_changes, code_changes  # start-up time: only what runs steps

    changes = [*code_changes(run, client.workspace.tracking.document), *client_changes(run)]
    for line in changes:
        say(clean_lines(f"changed since run {short(run.id)} began: {line}"))
    if changes:
        say("  what has finished keeps its result; `core runs retry` runs a step once more")


def _cancel_arguments(parser: Parser) -> None:
    _run_arguments(parser)
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; recorded with the run")
    parser.add_argument(
        "--wait",
        type=natural,
        metavar="SECONDS",
        help="how long to wait for the run's end; 0: only ask for it (default: a little longer than the setting grace)",
    )
    parser.output()


def _cancel(arguments: Namespace) -> int:
    from core.resume import cancel  # start-up time: other verbs end no run

    with opened() as client:
        run = client.run(arguments.run)
        wait = client.workspace.settings.grace + MARGIN if arguments.wait is None else float(arguments.wait)
        said = cancel(client.workspace, run.id, arguments.reason)
        run = client.run(run.id) if said == "recorded" or not wait else _awaited(client, run.id, wait, arguments.reason)
        if arguments.output != "table":
            emit(run.to_data(), arguments.output)
            return 0
        if run.state not in ENDED_RUN:
            say(f"run {short(run.id)} was asked to end")
        print(run.state)
    return 0


def _awaited(client: Client, run: str, seconds: float, reason: str) -> RunView:
    """The run once it has ended; an owner that dies meanwhile is spoken for."""
    from core.resume import cancel  # start-up time: as above

    ends, pause = time.monotonic() + seconds, 0.05
    while True:
        view = client.run(run)
        if view.state == RunState.LOST:
            try:
                cancel(client.workspace, run, reason)
            except ConflictError:
                pass  # it has ended meanwhile, or another goes on with it: the next look tells
            view = client.run(run)
        if view.state in ENDED_RUN:
            return view
        if time.monotonic() >= ends:
            raise ConflictError(
                f"run {short(run)} is still at work {seconds:g} s after it was asked to end",
                f"`core runs show {short(run)}` tells when it has; its steps have the time `grace` to end",
            )
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)


COMMANDS = {
    "resume": Command(
        "go on with a run that failed, was cancelled, or lost its owner",
        _resume_arguments,
        _resume,
        "What has finished stays finished; the rest runs, in the same run. Functions that are not what they were when\n"
        "the run began are named.\n\n"
        "    core runs resume latest --workers 4",
    ),
    "retry": Command(
        "run steps of an ended run once more, and what depends on them, in the same run",
        _retry_arguments,
        _retry,
        "    core runs retry latest train",
    ),
    "cancel": Command(
        "end a run: its steps are told to, and what is finished is kept",
        _cancel_arguments,
        _cancel,
        "A run whose owner is gone is ended here. The state of the run goes to stdout.\n\n"
        '    core runs cancel 1f3a99c2 --reason "wrong data"',
    ),
    **REPLAY,
}
