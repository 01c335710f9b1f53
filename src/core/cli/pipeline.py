"""`core pipeline`: check, draw, list and build the pipelines of a file."""

from __future__ import annotations

from core.cli.command import Command
from core.cli.output import emit, listing, say, table
from core.cli.run import add_target, prepared
from core.errors import ConfigurationError
from core.text import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from core.cli.command import Parser


def _check_arguments(parser: Parser) -> None:
    add_target(parser)
    parser.output()


def _check(arguments: Namespace) -> int:
    with prepared(arguments) as (pipeline, parameters, options):
        graph = pipeline.compile(parameters, options).graph
    data = {"pipeline": graph.pipeline, "steps": len(graph.nodes), "digest": graph.digest}
    if arguments.output == "table":
        say(f"{graph.pipeline}: {len(graph.nodes)} steps, every edge and parameter fits ({graph.digest[:19]})")
    else:
        emit(data, arguments.output)
    return 0


def _graph_arguments(parser: Parser) -> None:
    add_target(parser)
    parser.output(("mermaid", "svg", "json"))
    parser.add_argument("--out", metavar="FILE", help="write to this file instead of stdout")


def _graph(arguments: Namespace) -> int:
    from core.draw import draw  # start-up time: only a picture needs a layout

    with prepared(arguments) as (pipeline, parameters, options):
        graph = pipeline.compile(parameters, options).graph
    text = draw(graph, arguments.output)
    if not arguments.out:
        print(text)
        return 0
    try:
        with open(arguments.out, "w", encoding="utf-8") as file:
            file.write(text.rstrip("\n") + "\n")
    except OSError as error:
        raise ConfigurationError(
            f"{arguments.out!r} cannot be written: {error.strerror}", "choose another file"
        ) from error
    say(f"wrote {arguments.out}")
    return 0


def _build_arguments(parser: Parser) -> None:
    add_target(parser)
    parser.output()


def _build(arguments: Namespace) -> int:
    from core.provide import Order, build  # start-up time: `--help` must not load what makes images
    from core.workspace import Workspace  # start-up time: the same

    with prepared(arguments) as (pipeline, parameters, options), Workspace() as workspace:
        specs = pipeline.compile(parameters, options).specs
        stack = workspace.stack.checked()
        order = Order(pipeline.name, pipeline.options.image, specs, workspace.orchestrators(specs))
        made = build(workspace, order, say)
    if arguments.output != "table":
        images = [one.to_data() for one in made]
        emit({"pipeline": pipeline.name, "stack": stack.name, "images": images}, arguments.output)
        return 0
    rows = []
    for one in made:
        told = [part.told() if part is not None else "" for part in (one.environment, one.code)]
        rows.append([", ".join(one.steps), one.reference, *told, duration(one.seconds)])
    table(("steps", "image", "environment", "code", "took"), rows)
    return 0


def _list_arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a path or a dotted module")
    parser.output()


def _list(arguments: Namespace) -> int:
    from core.cli.target import load_module, pipelines_of  # start-up time: `--help` must not load what runs a pipeline

    rows = [
        {"name": name, "pipeline": pipeline.name, "summary": (pipeline.__doc__ or "").strip().partition("\n")[0]}
        for name, pipeline in pipelines_of(load_module(arguments.file)).items()
    ]
    listing(rows, arguments.output, {"name": str, "pipeline": str, "summary": str})
    return 0


COMMANDS = {
    "build": Command(
        "make the images of a pipeline's steps without running it",
        _build_arguments,
        _build,
        "What is there already is not made again: the table says what was reused, and why the rest was not.\n\n"
        "    core pipeline build run.py:training --stack cluster",
    ),
    "check": Command(
        "check a pipeline without running it",
        _check_arguments,
        _check,
        "Compiles it: every edge's types, every parameter, every name.",
    ),
    "graph": Command(
        "draw a pipeline",
        _graph_arguments,
        _graph,
        "    core pipeline graph run.py:training -o svg --out training.svg",
    ),
    "list": Command("list the pipelines of a file", _list_arguments, _list),
}
