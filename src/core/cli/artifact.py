"""`core artifact`: list, show and load what steps returned."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from core.cli.command import Command, natural
from core.cli.lookup import find_artifact, opened
from core.cli.output import emit, listing, say, size
from core.errors import ConfigurationError, ConflictError, UsageError
from core.text import clean_lines, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from core.cli.command import Parser
    from core.cli.output import Columns


def _list_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", nargs="?", help="only this run; by default the newest runs")
    parser.add_argument("--runs", type=natural, default=10, help="how many runs to look through (default: %(default)s)")
    parser.add_argument("--step", help="only outputs of this step")
    parser.add_argument("--type", metavar="WORD", help="only values whose type has this word in its name")
    parser.output()


def _list(arguments: Namespace) -> int:
    rows: list[dict[str, Any]] = []
    with opened() as client:
        if arguments.run:
            runs = [client.run(arguments.run)]
        else:
            runs = [client.run(row.id) for row in client.runs(limit=arguments.runs)]
        for run in runs:
            for step in run.steps.values():
                if arguments.step in (None, step.name):
                    rows += [
                        {"run": run.id, "step": step.name, "name": name, **item.to_data()}
                        for name, item in step.outputs.items()
                    ]
    if arguments.type:
        rows = [row for row in rows if arguments.type.lower() in row["type"].lower()]
    columns: Columns = {"run": short, "step": str, "name": str, "type": _class, "size": size, "digest": _digest}
    listing(rows, arguments.output, columns)
    return 0


def _class(name: str) -> str:
    return name.partition(":")[2]


def _digest(digest: str) -> str:
    return digest[:19]


def _add_artifact(parser: Parser) -> None:
    parser.add_argument(
        "artifact", metavar="RUN/STEP/OUTPUT", help="such as latest/train/model; a step's only output needs no name"
    )


def _show_arguments(parser: Parser) -> None:
    _add_artifact(parser)
    parser.output()


def _show(arguments: Namespace) -> int:
    with opened() as client:
        artifact = find_artifact(client, arguments.artifact)
        lineage = client.lineage(artifact)
    data = artifact.to_data()
    data["made_from"] = [list(edge) for edge in lineage.made_from]
    data["used_by"] = [list(attempt) for attempt in lineage.used_by]
    if arguments.output != "table":
        emit(data, arguments.output)
        return 0
    preview = data.pop("preview", None) or {}
    data["made_from"] = ", ".join(f"{step}/{output}" for step, output, _ in lineage.made_from)
    data["used_by"] = ", ".join(f"{short(run)}/{step}/{attempt}" for run, step, attempt in lineage.used_by)
    for name, value in {**data, "producer": "/".join(map(str, data["producer"])), "size": size(data["size"])}.items():
        if value:
            print(f"{name:<13} {clean_lines(str(value))}")
    for name, value in preview.items():
        text = clean_lines(str(value))
        print(f"{name}:\n{text}" if "\n" in text else f"{name:<13} {text[:200]}")
    return 0


def _load_arguments(parser: Parser) -> None:
    _add_artifact(parser)
    parser.add_argument("--to", metavar="FILE", help="write the value to this file or folder, which must not exist yet")


def _load(arguments: Namespace) -> int:
    if arguments.to and os.path.lexists(arguments.to):
        raise ConflictError(f"{arguments.to!r} exists", "choose another name, or remove it first")
    with opened() as client:
        value = find_artifact(client, arguments.artifact).load()
        if arguments.to:
            try:
                _write(value, arguments.to)
            except OSError as error:
                raise ConfigurationError(
                    f"{arguments.to!r} cannot be written: {error}", "choose another file"
                ) from error
            say(f"wrote {arguments.to}")
        else:
            _print(value)
    return 0


def _print(value: Any) -> None:
    """Text and bytes go out as they are to a pipe, inert to a terminal; anything else as its `repr`."""
    if isinstance(value, bytes) and not sys.stdout.isatty() and hasattr(sys.stdout, "buffer"):
        sys.stdout.buffer.write(value)
    elif isinstance(value, str):
        print(clean_lines(value) if sys.stdout.isatty() else value)
    else:
        print(value if hasattr(value, "to_string") else repr(value))


def _write(value: Any, path: str) -> None:
    if isinstance(value, Path):
        if value.is_dir():
            shutil.copytree(value, path)
        else:
            shutil.copyfile(value, path)
        return
    data = _bytes(value)
    with open(path, "xb") as file:
        file.write(data)


def _bytes(value: Any) -> bytes:
    """The value as a file: text, bytes, tables as CSV, arrays as .npy, pictures as PNG, the rest as JSON."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    kind = type(value).__module__.partition(".")[0]
    if kind == "pandas" and hasattr(value, "to_csv"):
        return str(value.to_csv()).encode()
    if kind == "polars" and hasattr(value, "write_csv"):
        return str(value.write_csv()).encode()
    if kind == "numpy":
        import io  # start-up time: only an array needs it

        import numpy as np  # an optional library: the value is of it, so it is there

        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return buffer.getvalue()
    if kind == "PIL":
        import io  # start-up time: only a picture needs it

        buffer = io.BytesIO()
        value.save(buffer, "PNG")
        return buffer.getvalue()
    import json  # start-up time: few come here

    try:
        return (json.dumps(value, indent=2) + "\n").encode()
    except (TypeError, ValueError) as error:
        name = type(value).__qualname__
        raise UsageError(
            f"a value of type {name!r} has no file format of its own: {error}",
            "load it in Python: Client().run(...).steps[...].outputs[...].load()",
        ) from error


COMMANDS = {
    "list": Command("list the outputs of runs", _list_arguments, _list),
    "show": Command("show an output: type, size, digest, who made it, a preview", _show_arguments, _show),
    "load": Command(
        "print an output's value, or write it to a file",
        _load_arguments,
        _load,
        "Its bytes are verified against the digest first. With --to: text and bytes as they are, files and folders\n"
        "copied, tables as CSV, arrays as .npy, anything else as JSON.\n\n"
        "    core artifact load latest/evaluate/report --to report.md",
    ),
}
