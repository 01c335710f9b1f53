"""`core runs replay`: one step of a recorded run once more, here and now, with a debugger if wanted."""

from __future__ import annotations

import sys

from core.cli.command import Command, natural
from core.cli.lookup import opened
from core.cli.output import emit, say, size, table
from core.errors import RunFailed, UsageError
from core.text import clean_lines, first_line, readable, safe, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from core.cli.command import Parser
    from core.replay import Replay, Wanted
    from core.view import ArtifactView

WIDEST = 60
"""Characters of a value that are shown."""


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="id of a run, its first or last characters, or `latest`")
    parser.add_argument("step", metavar="STEP", help="such as train; one call of a mapped step is clean[3]")
    parser.add_argument("--attempt", type=natural, help="this try instead of the newest that began; 1 is the first")
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="parameter of the step"
    )
    parser.add_argument("--no-record", action="store_true", help="leave nothing behind: no run, no log, no artifact")
    parser.add_argument("--pdb", action="store_true", help="debug what the step raises, where it raised it")
    parser.output()


def _replay(arguments: Namespace) -> int:
    if arguments.pdb:
        _refuse_without_terminal(arguments.output)
    from core.cli.run import clear_stdout, pairs  # start-up time: only what runs steps
    from core.replay import carry_out, want  # start-up time: the same

    with opened() as client:
        workspace, run = client.workspace, client.run(arguments.run)
        given = pairs(arguments.parameter)
        wanted = want(workspace, run.id, arguments.step, attempt=arguments.attempt, parameters=given, lenient=True)
        say(safe(f"replaying {arguments.step}, attempt {wanted.attempt.number} of run {short(run.id)}"))
        for line in wanted.changes:
            say(clean_lines(f"  not as it was then: {line}"))
        try:
            with clear_stdout(arguments.output):
                done = carry_out(workspace, wanted, record=not arguments.no_record)
        except RunFailed as failed:
            if arguments.output != "table":
                emit(_failed_data(wanted, failed, record=not arguments.no_record), arguments.output)
            if arguments.pdb:
                _debug(failed.__cause__)
            raise
        if arguments.output != "table":
            emit(_data(done), arguments.output)
        else:
            _tell(done)
    return 0


def _tell(done: Replay) -> None:
    rows = [
        [name, output.ref.type.partition(":")[2], size(output.ref.size), _compared(done, name), _shown(output)]
        for name, output in done.outputs.items()
    ]
    table(("output", "type", "size", "then", "value"), rows)
    for name in done.recorded.keys() - done.outputs.keys():
        say(f"output {name!r} is not returned any more")
    if done.metadata:
        say(clean_lines("logged: " + ", ".join(f"{name}={readable(value)}" for name, value in done.metadata.items())))
    if done.run is None:
        say("nothing of this was recorded")


def _compared(done: Replay, name: str) -> str:
    if not done.recorded:
        return "failed"
    if name not in done.recorded:
        return "not there"
    return "another" if name in done.differing else "the same"


def _shown(output: ArtifactView) -> str:
    """The value in a few words, as far as its preview has some."""
    preview = output.preview
    text = preview.get("text")
    if text is None:
        words = [f"{name} {preview[name]}" for name in ("shape", "dtype", "length", "name", "head") if name in preview]
        text = ", ".join(words)
    line = first_line(str(text))
    return line if len(line) <= WIDEST else line[: WIDEST - 3] + "..."


def _data(done: Replay) -> dict[str, Any]:
    run, step, attempt = done.of
    same = {name: None if not done.recorded else name not in done.differing for name in done.outputs}
    return {
        "of": {"run": run, "step": step, "attempt": attempt},
        "run": done.run.id if done.run is not None else None,
        "changes": list(done.changes),
        "error": None,
        "metadata": dict(done.metadata),
        "outputs": {name: {**output.to_data(), "same": same[name]} for name, output in done.outputs.items()},
    }


def _failed_data(wanted: Wanted, failed: RunFailed, *, record: bool) -> dict[str, Any]:
    cause = failed.__cause__
    return {
        "of": {"run": wanted.view.id, "step": wanted.node.id, "attempt": wanted.attempt.number},
        "run": failed.run.id if record else None,
        "changes": list(wanted.changes),
        "error": first_line(f"{type(cause).__name__}: {cause}"),
        "metadata": {},
        "outputs": {},
    }


def _refuse_without_terminal(form: str) -> None:
    if form != "table":
        raise UsageError(f"--pdb and -o {form} do not go together", "leave one of them out")
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("--pdb needs a terminal", "leave it out, or call `core runs replay` at a prompt of your own")


def _debug(error: BaseException | None) -> None:
    """A prompt at the line that raised; what core itself refused has no line of the step's."""
    if error is None or error.__traceback__ is None:
        say("the function itself raised nothing: there is no line to debug")
        return
    import pdb  # noqa: T100 - start-up time; a debugger is what was asked for

    say(clean_lines(f"{type(error).__name__}: {error}"))
    pdb.post_mortem(error.__traceback__)


COMMANDS = {
    "replay": Command(
        "run one step of a run once more, here, with the inputs and parameters that it had then",
        _arguments,
        _replay,
        "Its inputs are verified; what is not as it was then (code, parameters, Python, core) is named. It is\n"
        "recorded as a run of its own. The column THEN says whether the output is what was recorded then.\n\n"
        "    core runs replay latest train -p gamma=0.02\n"
        "    core runs replay latest 'clean[3]' --no-record --pdb",
    ),
}
