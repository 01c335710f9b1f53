"""What a noun's module declares: its commands; and the parser of one command."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from typing import NamedTuple

from core.errors import UsageError
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action, Namespace
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

FORMATS = ("table", "json", "yaml")


class Command(NamedTuple):
    """One command. A noun's module holds `COMMANDS`: verb to command; the verb is empty where the noun needs none."""

    summary: str
    """One line that says what it does."""
    arguments: Callable[[Parser], None]
    """Adds the command's own arguments to its parser."""
    call: Callable[[Namespace], int]
    """Does it; returns the exit code. Deliberate errors are raised as `CoreError`."""
    details: str = ""
    """More for `--help` and the documentation: what the arguments don't tell, with an example."""
    open: bool = False
    """Whether it also takes options that only the data knows; they come as `arguments.given`, name to text or None."""


class Parser(ArgumentParser):
    """Argument parser that raises `UsageError` with the closest match instead of exiting."""

    def __init__(self, prog: str, command: Command) -> None:
        text = f"{command.summary}\n\n{command.details}".strip()
        super().__init__(prog=prog, description=text, allow_abbrev=False, formatter_class=RawDescriptionHelpFormatter)
        self._open = command.open
        self._spaced = False
        command.arguments(self)
        self.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="set a setting for this command; `core config show` lists them",
        )

    def parse(self, words: Sequence[str]) -> Namespace:
        """The arguments in `words`; raises `UsageError`, `SystemExit` only after printing the help."""
        if self._open:
            own, given = self._parted(words)
            arguments, alone = self.parse_known_args(own)
            if alone:
                self.error("a word stands alone (it is not shown: it may be a secret); write --key=value")
            arguments.given = given
            return arguments
        arguments, extra = self.parse_known_args(dashed(words))
        if extra:
            known = [option for action in self._actions for option in action.option_strings]
            near = closest(extra[0], known) if extra[0].startswith("-") else ""
            self.error(f"{extra[0]!r} is not expected here{near}")
        return arguments

    def _parted(self, words: Sequence[str]) -> tuple[list[str], dict[str, str | None]]:
        """The words of options that are declared, and the other options: `--key=value`, or `--key` alone (None)."""
        own: list[str] = []
        given: dict[str, str | None] = {}
        takes = False
        todo = [*words]
        while todo:
            word = todo.pop(0)
            name, equals, value = word.partition("=")
            known = dashed([name])[0]
            if takes or not name.startswith("--") or known == "--":
                own.append(word)
                takes = not takes and self._takes(word)
            elif known in self._option_string_actions:
                own.append(known + equals + value)
                takes = not equals and self._takes(known)
            elif name[2:] in given:
                self.error(f"{name} is given twice")
            else:
                if self._spaced and not equals and todo and not todo[0].startswith("-"):
                    equals, value = "=", todo.pop(0)
                given[name[2:]] = value if equals else None
        return own, given

    def _takes(self, word: str) -> bool:
        """Whether the option takes the next word."""
        action = self._option_string_actions.get(word)
        return action is not None and action.nargs != 0

    def spaced(self) -> None:
        """Let an option that only the data knows take the next word too: `--path x` as `--path=x`."""
        self._spaced = True

    @property
    def actions(self) -> list[Action]:
        """Every argument and option, for what is made from parsers: completion, documentation."""
        return self._actions

    def output(self, formats: Sequence[str] = FORMATS, default: str | None = None) -> None:
        """Add `-o`, the form in which the command's data goes to stdout."""
        self.add_argument(
            "-o",
            "--output",
            choices=formats,
            default=default or formats[0],
            help="form of the output (default: %(default)s)",
        )

    def error(self, message: str) -> NoReturn:
        """What argparse calls for wrong arguments."""
        raise UsageError(f"{self.prog}: {message}", f"`{self.prog} --help` shows how to call it")

    def _check_value(self, action: Action, value: Any) -> None:
        """Argparse's check of `choices`, with the closest match."""
        if action.choices is not None and value not in action.choices:
            name = "/".join(action.option_strings) or action.metavar or action.dest
            choices = ", ".join(map(str, action.choices))
            self.error(f"{name} is {value!r}; expected one of {choices}{closest(str(value), action.choices)}")


def dashed(words: Sequence[str]) -> list[str]:
    """`words` with `_` written as `-` in the names of long options: both spellings work; after `--` all stays."""
    result: list[str] = []
    for place, word in enumerate(words):
        if word == "--":
            return [*result, *words[place:]]
        name, equals, value = word.partition("=")
        result.append(name.replace("_", "-") + equals + value if name.startswith("--") else word)
    return result


def natural(text: str) -> int:
    """A whole number from 0 on, as the type of an argument."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def no_arguments(_parser: Parser) -> None:
    """For commands that take none."""
