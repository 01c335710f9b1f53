"""Finds the command that was typed, runs it, and turns every way in which it can end into an exit code."""

from __future__ import annotations

import os
import sys
from errno import EDQUOT, ENOSPC
from importlib import import_module

from core.cli.command import Parser
from core.cli.output import say
from core.errors import (
    CompileError,
    CoreError,
    DefinitionError,
    InfrastructureError,
    RunFailed,
    UsageError,
    explain,
    masked,
)
from core.settings import resolve
from core.text import clean_lines, closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from core.cli.command import Command

NOUNS = {
    "init": "make .core/, so that this project keeps its own state",
    "run": "run a pipeline",
    "pipeline": "check, draw and list the pipelines of a file",
    "runs": "list, show, compare, resume, cancel and replay runs, read their logs",
    "artifact": "list, show and load what steps returned",
    "integration": "install and check what adds clouds and clusters",
    "stack": "register stacks, list them, make one active",
    "orchestrator": "register and list what runs steps",
    "artifact-store": "register and list what keeps artifacts",
    "container-registry": "register and list what keeps images",
    "image-builder": "register and list what makes images",
    "service-connector": "register what authenticates to a cloud, and see what it reaches",
    "secret": "keep values encrypted, for settings and steps to refer to",
    "gc": "delete what no kept run needs",
    "config": "show the settings and where each comes from",
    "doctor": "tell what is wrong with this installation",
    "completion": "print a script that completes commands in your shell",
    "version": "print the version",
}
"""Noun to one line about it; the module is `core.cli.<noun>`, with `_` for `-`."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command in `words` (by default `sys.argv`) and return its exit code; raises nothing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:  # a name that the terminal's encoding lacks must not end the command
            reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(list(sys.argv[1:] if words is None else words))
        sys.stdout.flush()
    except SystemExit as end:  # argparse after --help
        code = int(end.code or 0)
    except BrokenPipeError:
        code = _closed_pipe()
    except KeyboardInterrupt:
        say("interrupted")
        code = 130
    except CoreError as error:
        _explain(error)
        code = error.exit_code
    except OSError as error:
        code = _disk_full() if error.errno in {ENOSPC, EDQUOT} else _crash(error)
    except Exception as error:  # noqa: BLE001 - the border: nothing may be lost, and nobody wants a bare traceback
        code = _crash(error)
    return code


def commands(noun: str) -> dict[str, Command]:
    """Verb to command of `noun`; imports its module. The verb is empty where the noun needs none."""
    found: dict[str, Command] = import_module(f"core.cli.{noun.replace('-', '_')}").COMMANDS
    return found


def every_command() -> Iterator[tuple[str, str, Command, Parser]]:
    """Noun, verb, command and parser of every command, for what is made from them: completion, documentation."""
    for noun in NOUNS:
        for verb, command in commands(noun).items():
            yield noun, verb, command, Parser(f"core {noun} {verb}".strip(), command)


def _dispatch(words: list[str]) -> int:
    noun, rest = (words[0], words[1:]) if words else ("--help", [])
    if noun in {"-h", "--help", "help"}:
        return _overview()
    if noun in {"-V", "--version"}:
        noun = "version"
    noun = noun.replace("_", "-")
    if noun not in NOUNS:
        raise UsageError(f"core has no command {noun!r}{closest(noun, NOUNS)}", "`core --help` lists the commands")
    verbs = commands(noun)
    prog = f"core {noun}"
    if "" in verbs:
        return _call(prog, verbs[""], rest)
    verb = rest[0].replace("_", "-") if rest else "--help"
    if verb in {"-h", "--help"}:
        return _verbs(noun, verbs)
    if verb not in verbs:
        raise UsageError(f"{prog} has no verb {verb!r}{closest(verb, verbs)}", f"the verbs are {', '.join(verbs)}")
    return _call(f"{prog} {verb}", verbs[verb], rest[1:])


def _call(prog: str, command: Command, words: Sequence[str]) -> int:
    arguments = Parser(prog, command).parse(words)
    before = dict(os.environ)
    try:
        _override(arguments)
        return command.call(arguments)
    finally:
        if dict(os.environ) != before:  # a caller in this process keeps its environment
            os.environ.clear()
            os.environ.update(before)


def _override(arguments: Namespace) -> None:
    """Put `--set NAME=VALUE` into the environment, checked: so it reaches every part and every child process."""
    overrides = {}
    for item in arguments.set:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--set {item!r} has no value", "write --set NAME=VALUE")
        overrides[name.replace("-", "_")] = value
    if overrides:
        resolve(overrides)
        os.environ.update({f"CORE_{name.upper()}": value for name, value in overrides.items()})
    arguments.overrides = overrides


def _overview() -> int:
    width = max(map(len, NOUNS))
    print("usage: core COMMAND [...]\n\nRuns pipelines of plain Python functions and keeps what they did.\n\ncommands:")
    for noun, summary in NOUNS.items():
        print(f"  {noun.ljust(width)}  {summary}")
    print("\n`core COMMAND --help` tells more of one; `-o json` gives any listing to a program.")
    return 0


def _verbs(noun: str, verbs: dict[str, Command]) -> int:
    width = max(map(len, verbs))
    print(f"usage: core {noun} VERB [...]\n\n{NOUNS[noun].capitalize()}.\n\nverbs:")
    for verb, command in verbs.items():
        print(f"  {verb.ljust(width)}  {command.summary}")
    return 0


def _explain(error: CoreError) -> None:
    """Message and hint; for what the user's own code did, the place in it too."""
    if os.environ.get("CORE_DEBUG"):
        _print_traceback(error)
    theirs = isinstance(error, RunFailed | DefinitionError | CompileError)
    say(clean_lines(explain(error) if theirs else f"core: {error}"))


def _crash(error: Exception) -> int:
    """Something that core did not foresee: say where the traceback lies."""
    if os.environ.get("CORE_DEBUG"):
        _print_traceback(error)
    summary = clean_lines(masked(f"{type(error).__name__}: {error}"))
    say(f"core: unexpected {summary}\n  traceback: {_keep(error)}\n  hint: CORE_DEBUG=1 shows it at once")
    return 1


def _print_traceback(error: BaseException) -> None:
    import traceback  # start-up time: only trouble needs it

    sys.stderr.write(masked("".join(traceback.format_exception(error))))


def _keep(error: Exception) -> str:
    """Write the traceback to a file in the home, else to the temporary folder; its path, or the traceback itself."""
    import tempfile  # start-up time: only trouble needs it
    import traceback  # start-up time: the same

    text = masked(f"core {' '.join(_told(sys.argv[1:]))}\n{''.join(traceback.format_exception(error))}")
    folders = [tempfile.gettempdir()]
    try:
        folders.insert(0, os.path.join(resolve().home, "crashes"))
    except CoreError:
        pass  # broken settings have no home
    for folder in folders:
        try:
            os.makedirs(folder, exist_ok=True)
            number, path = tempfile.mkstemp(".txt", "core-crash-", folder)
            with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return path
    return "\n" + text


def _told(words: Sequence[str]) -> list[str]:
    """The words of a command without values that may be secrets: the mask leaves short ones."""
    if words[:1] and words[0].replace("_", "-") in {"secret", "service-connector"}:
        return [word.partition("=")[0] + "=***" if "=" in word else word for word in words]
    return list(words)


def _disk_full() -> int:
    """What was to be written, to stdout or a file, could not be: that is no success, and no defect of core's."""
    _closed_pipe()
    _explain(
        InfrastructureError("the disk is full: what was to be written could not be", "free some space and try again")
    )
    return InfrastructureError.exit_code


def _closed_pipe() -> int:
    """The reader of stdout has gone: end quietly, and keep Python's own last flush from complaining."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # stdout is no real file
    return 141
