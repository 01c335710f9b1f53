"""Reads keys and values from the text of a file: `.env`, JSON, or YAML."""

from __future__ import annotations

import re

from core.errors import ConfigurationError, MissingDependencyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

FORMATS = ("env", "json", "yaml")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z0-9_][A-Za-z0-9_.-]*)\s*=\s*(.*)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$", "`": "`"}


def format_of(path: str) -> str:
    """The format that a file's name says; `env` for any other."""
    ending = path.rpartition(".")[2].lower()
    return {"json": "json", "yaml": "yaml", "yml": "yaml"}.get(ending, "env")


def parse(text: str, form: str, where: str) -> dict[str, str]:
    """Keys and values of `text`. Raises `ConfigurationError` with `where` and the line, never with a value."""
    if form == "env":
        return dict(_env(text, where))
    data = _json(text, where) if form == "json" else _yaml(text, where)
    if not isinstance(data, dict):
        raise ConfigurationError(f"{where} holds no mapping of keys to values", "write one key and its value a line")
    return {str(key): _plain(key, value, where) for key, value in data.items()}


def _env(text: str, where: str) -> Iterator[tuple[str, str]]:
    """Lines `KEY=value`; a value in quotes may go over lines, in double quotes with escapes."""
    lines = iter(enumerate(text.lstrip("\ufeff").splitlines(), 1))
    for number, line in lines:
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        found = _LINE.fullmatch(bare)
        if found is None:
            raise ConfigurationError(
                f"{where}:{number} is no line of the form KEY=value", "mend the line, or begin it with #"
            )
        key, value = found.groups()
        quote = value[:1] if value[:1] in {'"', "'"} else ""
        if not quote:
            yield key, re.sub(r"(^|\s)#.*", "", value).strip()
            continue
        while (end := _closing(value, quote)) < 0:
            try:
                value += "\n" + next(lines)[1]
            except StopIteration:
                raise ConfigurationError(
                    f"{where}:{number}: the quote of {key!r} does not end", f"end it with {quote}"
                ) from None
        inner = value[1:end]
        yield key, inner if quote == "'" else re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), inner)


def _closing(value: str, quote: str) -> int:
    """Where the quote at the beginning ends; -1 when it does not."""
    found = re.compile(r"'[^']*(')" if quote == "'" else r'"(?:[^"\\]|\\.)*(")', re.DOTALL).match(value)
    return found.start(1) if found else -1


def _json(text: str, where: str) -> Any:
    import json  # start-up time: only who imports secrets reads files

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        raise ConfigurationError(f"{where}{f':{line}' if line else ''} is no valid JSON", "mend the file") from None


def _yaml(text: str, where: str) -> Any:
    try:
        import yaml  # start-up time: only who imports secrets reads files
    except ImportError as error:
        raise MissingDependencyError("reading YAML needs the library pyyaml", "pip install pyyaml") from error
    if len(re.findall(r"[&*][A-Za-z0-9_]", text)) > 50:
        raise ConfigurationError(f"{where} has more than 50 anchors and aliases", "write the values out")
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigurationError(
            f"{where}{f':{mark.line + 1}' if mark else ''} is no valid YAML", "mend the file"
        ) from None


def _plain(key: object, value: object, where: str) -> str:
    """A value as text: numbers, true and false as they are written in JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    what = "nothing" if value is None else f"a {type(value).__name__}"
    raise UsageError(f"{where}: {key!r} holds {what}; expected a text or a number", "give each key one value")
