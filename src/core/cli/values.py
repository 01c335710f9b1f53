"""Values that people type, secret ones among them: from a file, from standard input, from a prompt.

What stands on a command line is seen by other users of the machine while the command runs, and by the shell's history
for ever. So a secret there works, as people expect it to, and is warned of.
"""

from __future__ import annotations

import os
import sys

from core.cli.output import say
from core.errors import UsageError
from core.mask import add_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LARGEST = 1 << 20
"""Bytes of a value."""


def read_values(given: Mapping[str, str | None], secret: Callable[[str], bool] = lambda _: True) -> dict[str, str]:
    """The values of `--key=VALUE`, `--key=@FILE`, `--key=-` and `--key`, which is asked for in a terminal.

    `secret` tells by a key whether its value is one. `@@` at the beginning stands for a `@` that belongs to the value.
    Raises `UsageError` before anything is read twice, and never with a value in its message.
    """
    for value in given.values():
        if value and not value.startswith("@"):
            add_secret(value)
    piped = [key for key, value in given.items() if value == "-"]
    if len(piped) > 1:
        raise UsageError(f"--{piped[0]} and --{piped[1]} cannot both be read from standard input", "give one as @FILE")
    open_to_all = [key for key, value in given.items() if value and value[:1] not in "@-" and secret(key)]
    values = {key: _value(key, value) for key, value in given.items()}
    if open_to_all:
        first, names = open_to_all[0], ", ".join(f"--{key}" for key in open_to_all)
        say(
            f"core: warning: {names} stood on the command line: other users and the shell's history can read it\n"
            f"  hint: --{first}=@FILE, --{first}=- for standard input, or --{first} alone, to be asked"
        )
    return values


def _value(key: str, value: str | None) -> str:
    if value is None:
        value = ask(key)
    elif value == "-":
        value = _text(key, sys.stdin.buffer.read(LARGEST + 1), "standard input")
    elif value.startswith("@@"):
        value = value[1:]
    elif value.startswith("@"):
        value = read_file(value[1:], f"--{key}").rstrip("\r\n")
    if not value:
        raise UsageError(f"--{key} is empty", "give a value; was a variable of the shell not set?")
    add_secret(value)
    return value


def ask(key: str) -> str:
    """What a person types unseen; raises `UsageError` where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"--{key} has no value, and there is no terminal to ask in",
            f"give --{key}=@FILE, or --{key}=- and pipe it in",
        )
    from getpass import getpass  # start-up time: only a prompt needs it

    return getpass(f"{key}: ")


def read_file(path: str, what: str) -> str:
    """The text of a file, `-` for standard input; `what` begins the error's message."""
    if path == "-":
        return _text(what, sys.stdin.buffer.read(LARGEST + 1), "standard input")
    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{what}: {path!r} cannot be read: {error.strerror}", "give the path of a file") from error
    return _text(what, data, repr(path))


def _text(what: str, data: bytes, where: str) -> str:
    if len(data) > LARGEST:
        raise UsageError(f"{what}: {where} holds more than {LARGEST >> 20} MiB", "a secret is a short text")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{what}: {where} is no UTF-8 text", "write binary data as base64") from None
    return text.rstrip("\r\n") if where == "standard input" else text
