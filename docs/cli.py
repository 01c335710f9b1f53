"""Writes docs/cli.md, the reference of the command line, from its parsers: `python docs/cli.py`."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from core import settings
from core.cli.program import NOUNS, every_command
from core.settings import Settings

if TYPE_CHECKING:
    from argparse import Action
    from collections.abc import Iterator

    from core.cli.command import Parser

FILE = Path(__file__).with_name("cli.md")

HEAD = """\
<!-- Written by docs/cli.py; change the code that it reads, then run `make docs` or `python docs/cli.py`. -->
# The command line

A command is a noun, then a verb: `core runs list`. Every listing takes `-o table|json|yaml`. What a program may read
goes to stdout, what a person is told to stderr. Nothing is asked when there is no terminal. `NO_COLOR` is honoured.
Options may be written with `-` or `_`: `--no-cache` and `--no_cache` are the same.

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | the run failed, or core itself did (then it says where the traceback lies) |
| 2 | wrong use: an unknown command, option or parameter; a pipeline that does not compile |
| 3 | what was named does not exist |
| 4 | not allowed |
| 5 | conflict: someone else changed it first, or holds it |
| 6 | wrong configuration, or damaged data |
| 7 | infrastructure: disk, network, database |
| 130, 141, 143 | interrupted; the reader of the output went away; terminated |

A program that ends in an uncaught error of core's, such as `python run.py`, exits with the same codes.

## JSON that stays

Fields may be added, never renamed or removed. Times are ISO 8601 in UTC with milliseconds, or null. NaN and infinities,
which JSON lacks, are null.

`core runs list -o json` is a list of objects, newest first: `id`, `pipeline`, `state`, `started_at`, `ended_at`,
`stack`, `project`, `actor`. `state` is `pending`, `running`, `completed`, `failed`, `cancelled` or `lost`.

`core runs show RUN -o json` (and `core run ... -o json`) is one such object (without `project` and `actor`) with
`parameters`, `tags`, `environment`, `error`, `graph` (a digest) and `steps`: a list of objects with `name`, `state`
(also `reused`, `skipped`, `preempted`), `reason`, `started_at`, `ended_at`, `metadata`, `attempts` (a list: `number`,
`state`, `started_at`, `ended_at`, `error`, `key`, `inputs`) and `outputs` (an object by name: `digest`, `size`, `type`,
`materializer`, `store`, `producer`, `preview`); `core artifact show -o json` adds `made_from` and `used_by`.

`core artifact list -o json` is a list of objects: `run`, `step`, `name`, and the keys of an output above.

`core run --dry-run -o json` is an object: `pipeline`, `stack`, `steps` (`step`, `action`: `run`, `reuse` or `maybe`,
`reason`).

`core pipeline build -o json` is an object: `pipeline`, `stack`, `images`: `reference` (by digest), `steps`,
`environment` and `code` (`name`, `action`: `built`, `pushed`, `added`, `reused` or `given`, `reason`, `seconds`,
`size`; `code` may be null), `requirements`, `left_out`, `base`, `seconds`. A run that has images says so in `images`:
step to reference.

`core runs diff A B -o json` is an object: `a`, `b`, `same`, `changes` (a list: `what`, `step`, `name`, `a`, `b`).

`core runs resume`, `retry` and `cancel` give the run as `core runs show` does. `core runs replay RUN STEP -o json` is
an object: `of` (`run`, `step`, `attempt`), `run` (its own id, or null), `changes` (a list of texts), `error` (or
null), `metadata`, `outputs` (as above, with `same`: true, false, or null where nothing was recorded).

`core stack list -o json`: `name`, `active`, `components` (type to name), `origin`. `core artifact-store list -o json`,
and that of every component type: `name`, `flavor`, `settings`, `connector`, `resource_id`, `origin`, `stacks`.

`core doctor -o json`: `check`, `state` (`ok`, `warning`, `problem`), `detail`, `hint`.

`core config show -o json`: `name`, `value`, and with `--origin` `origin`.
"""


def reference() -> str:
    """The whole page."""
    parts = [HEAD, "## Settings\n", *_settings(), "## Commands\n"]
    noun_before = ""
    for noun, verb, command, parser in every_command():
        if noun != noun_before:
            parts.append(f"### core {noun}\n\n{NOUNS[noun].capitalize()}.\n")
            noun_before = noun
        if verb:
            parts.append(f"#### core {noun} {verb}\n\n{command.summary.capitalize()}.\n")
        if command.details:
            parts.append(f"{command.details}\n")
        parts.append("\n".join(_arguments(parser)) + "\n")
    return "\n".join(parts).rstrip() + "\n"


def _settings() -> Iterator[str]:
    yield (
        "Strongest first: `--set NAME=VALUE` on the command line, `CORE_<NAME>` in the environment, `[tool.core]`\n"
        "in the nearest pyproject.toml, the user's file `core/config.toml`. `core config show --origin` tells which\n"
        "one counts. Times are seconds, or written `30s` or `2m`; sizes are bytes, or written `64KiB`.\n"
    )
    yield "| setting | default | meaning |\n|---|---|---|"
    meanings = dict(_meanings())
    for name, default in Settings._field_defaults.items():
        written = f"{default:g}" if isinstance(default, float) else str(default).lower()
        shown = f"`{written}`" if default not in {"", ()} else ""
        yield f"| `{name}` | {shown} | {meanings[name]} |"
    yield ""


def _meanings() -> Iterator[tuple[str, str]]:
    """Each field with the text below it in the source."""
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            yield field.target.id, str(ast.literal_eval(text.value))


def _arguments(parser: Parser) -> Iterator[str]:
    yield f"| `{parser.prog}` | |\n|---|---|"
    for action in parser.actions:
        if action.dest not in {"help", "set"}:
            yield f"| {_name(action)} | {_about(action)} |"
    yield "| `--set NAME=VALUE` | a setting for this command |"


def _name(action: Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = str(value).replace("|", "\\|")
    if not action.option_strings:
        return f"`[{value}]`" if action.nargs == "?" else f"`{value}`"
    names = ", ".join(f"`{option}`" for option in action.option_strings)
    return names if action.nargs == 0 else f"{names} `{value}`"


def _about(action: Action) -> str:
    return str(action.help or "") % vars(action)


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
