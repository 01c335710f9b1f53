"""`core run`: runs a pipeline of a file."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from contextlib import contextmanager, nullcontext, redirect_stdout

from core.cli.command import Command
from core.cli.output import emit, say, table
from core.errors import CompileError, ConfigurationError, CoreError, RunFailed, UsageError, raised_by_them
from core.model.spec import RunOptions
from core.settings import expected, passed_over, workers
from core.text import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from core.cli.command import Parser
    from core.config_file import RunConfig
    from core.run import Pipeline
    from core.view import RunView


def add_target(parser: Parser, nargs: str | None = None) -> None:
    """The arguments that say which pipeline is meant, and with which parameters."""
    about = "a path or a dotted module; a file's only pipeline needs no name"
    parser.add_argument("target", metavar="FILE:PIPELINE", nargs=nargs, help=about)
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="argument of the pipeline"
    )
    parser.add_argument(
        "--config", metavar="FILE", help="YAML file with parameters, options of steps, stack, no_cache, ..."
    )
    parser.add_argument("--stack", metavar="NAME", help="stack to use instead of the active one")


def add_workers(parser: Parser) -> None:
    """How many processes run steps side by side."""
    parser.add_argument(
        "-w",
        "--workers",
        type=_workers,
        metavar="N",
        help="processes that run steps side by side; `auto`: one a core (default: as the pipeline or the settings say)",
    )


def _workers(text: str) -> int:
    try:
        return workers(text)
    except ConfigurationError as error:
        raise ArgumentTypeError(f"it is {text!r}; expected {expected('workers')}") from error


def _arguments(parser: Parser) -> None:
    add_target(parser, "?")  # `--no-cache FILE:PIPELINE` takes it up as a step: see `_target`
    parser.output()
    parser.add_argument("--dry-run", action="store_true", help="tell what each step would do, and why; run nothing")
    parser.add_argument(
        "--no-cache",
        nargs="*",
        metavar="STEP",
        help="reuse nothing; with names, run just these steps in any case",
    )
    add_workers(parser)
    parser.add_argument("--fail-fast", action="store_true", help="let the first failure end the run")
    parser.add_argument(
        "--detach", action="store_true", help="leave the run where the stack runs steps: it goes on without you"
    )
    parser.add_argument("--tag", action="append", default=[], help="word to find the run by; may be given again")


@contextmanager
def prepared(arguments: Namespace) -> Iterator[tuple[Pipeline[Any, Any], dict[str, Any], RunOptions]]:
    """The pipeline, its parameters and the options of this call; what the command line says goes before the file.

    An error about what the file says gets the line of the file.
    """
    from core.cli.target import find_pipeline  # start-up time: `--help` must not load what runs a pipeline

    config = _config(arguments.config)
    stack = arguments.stack or (config.stack if config else "")
    if stack:
        os.environ["CORE_STACK"] = stack
    pipeline = find_pipeline(_target(arguments))
    parameters = dict(config.parameters) if config else {}
    typed = pairs(arguments.parameter)
    parameters.update(typed)
    try:
        yield pipeline, parameters, _options(arguments, config)
    except CompileError as error:
        for what, place in config.places.items() if config else ():
            begins = (f"{what} of pipeline ", f"pipeline {pipeline.name!r} has no {what}")
            if error.message.startswith(begins) and what.partition(" ")[2].strip("'\"") not in typed:
                raise type(error)(f"{place}: {error.message}", error.hint) from error
        raise
    except CoreError:
        raise
    except Exception as error:  # the border to the user's code: the pipeline's function
        if not raised_by_them(error):
            raise
        what = f"pipeline {pipeline.name!r} raised {type(error).__name__} while it was compiled; nothing ran"
        raise CompileError(what, "mend it at the place above") from error


def _tell_of_project(pipeline: Pipeline[Any, Any]) -> None:
    """The person may expect the runs of a project where its file lies; they lie where they are started from."""
    code = getattr(pipeline.__wrapped__, "__code__", None)
    project, home = passed_over(code.co_filename) if code is not None else ("", "")
    if project:
        say(
            f"warning: this run goes to {home}, because it is started here; its project keeps its own runs in {project}"
            f"\n  hint: `cd {os.path.dirname(project)}` first, or CORE_HOME={project}"
        )


def _target(arguments: Namespace) -> str:
    """FILE:PIPELINE, also where `--no-cache` before it took it for the name of a step."""
    if arguments.target is None:
        words = arguments.no_cache or []
        target = next((word for word in words if ":" in word or word.endswith(".py")), None)
        if target is None:
            raise UsageError("core run: FILE:PIPELINE is missing", "`core run --help` shows how to call it")
        words.remove(target)
        arguments.target = target
    return str(arguments.target)


def _config(path: str | None) -> RunConfig | None:
    if path is None:
        return None
    from core.config_file import read_run_config  # start-up time: only a run with a file needs a YAML reader

    return read_run_config(path)


def pairs(items: Iterable[str]) -> dict[str, str]:
    """`-p NAME=VALUE`, as it was given."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageError(f"-p {item!r} is no parameter", "write -p NAME=VALUE")
        if name in found:
            raise UsageError(f"parameter {name!r} is given twice", "remove one of them")
        found[name] = value
    return found


def _options(arguments: Namespace, config: RunConfig | None) -> RunOptions:
    named: list[str] | None = getattr(arguments, "no_cache", None)
    no_cache: bool | frozenset[str] = bool(config and config.no_cache is True)
    if named is not None:
        no_cache = frozenset(named) or True
    elif config and config.no_cache:
        no_cache = config.no_cache if isinstance(config.no_cache, bool) else frozenset(config.no_cache)
    given: int | None = getattr(arguments, "workers", None)
    return RunOptions(
        no_cache=no_cache,
        fail_fast=getattr(arguments, "fail_fast", False) or bool(config and config.fail_fast),
        steps=config.steps if config else {},
        lenient=True,
        tags=(*(config.tags if config else ()), *getattr(arguments, "tag", ())),
        workers=config.workers if config and given is None else given,
    )


def _run(arguments: Namespace) -> int:
    with prepared(arguments) as (pipeline, parameters, options):
        _tell_of_project(pipeline)
        if arguments.dry_run:
            return _plan(pipeline, parameters, options, arguments.output)
        if arguments.detach:
            return _detach(pipeline, parameters, options, arguments.output)
        try:
            with clear_stdout(arguments.output):
                view = pipeline.run(parameters, options)
        except RunFailed as failed:
            if arguments.output != "table":
                emit(failed.run.to_data(), arguments.output)
            raise
    told(view, arguments.output)
    return 0


def _detach(pipeline: Pipeline[Any, Any], parameters: Mapping[str, Any], options: RunOptions, form: str) -> int:
    from core.detach import detach  # start-up time: most runs stay here
    from core.workspace import Workspace  # start-up time: the same

    tell_left(detach(pipeline, parameters, options, Workspace(), say), form)
    return 0


def tell_left(view: RunView, form: str) -> None:
    """Tell of a run that goes on without its client."""
    told(view, form)
    run = short(view.id)
    say(f"run {run} goes on without you; `core runs logs {run} -f`, `show`, `cancel` and `resume` work from anywhere")


def clear_stdout(form: str) -> AbstractContextManager[object]:
    """What steps print must not stand in the JSON: it goes to stderr then."""
    return nullcontext() if form == "table" else redirect_stdout(sys.stderr)


def told(view: RunView, form: str) -> None:
    """Print the run's id, or all of it as the `form` that the person chose."""
    if form != "table":
        emit(view.to_data(), form)
    else:
        print(view.id)


def _plan(pipeline: Pipeline[Any, Any], parameters: Mapping[str, Any], options: RunOptions, form: str) -> int:
    plan = pipeline.plan(parameters, options)
    rows = [
        {"step": node, "action": str(decision.action), "reason": decision.reason}
        for node, decision in plan.decisions.items()
    ]
    if form == "table":
        table(("step", "action", "reason"), [list(row.values()) for row in rows])
        say(f"{len(rows)} {'step' if len(rows) == 1 else 'steps'} on stack {plan.stack!r}; nothing ran")
    else:
        emit({"pipeline": plan.graph.pipeline, "stack": plan.stack, "steps": rows}, form)
    return 0


COMMANDS = {
    "": Command(
        "run a pipeline",
        _arguments,
        _run,
        "Parameters are text and become what the pipeline's annotations ask for. The id of the run goes to stdout.\n\n"
        "    core run run.py:training -p gamma=0.02\n"
        "    core run run.py --config run.yaml --dry-run\n"
        "    core run run.py --workers auto\n"
        "    core run run.py:training --detach",
    ),
}
