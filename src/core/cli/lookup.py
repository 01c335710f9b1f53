"""Opens the client for a command, and finds the artifact that a person names as RUN/STEP/OUTPUT."""

from __future__ import annotations

from contextlib import contextmanager

from core.errors import NotFoundError, UsageError
from core.text import clean_lines, closest, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.client import Client
    from core.view import ArtifactView


@contextmanager
def opened() -> Iterator[Client]:
    """A client whose store stays open for the length of one command."""
    from core.client import Client  # start-up time: help and completion need no store

    client = Client()
    with client.workspace:
        yield client
    if client.away is not None:
        from core.cli.output import say  # start-up time: a store is seldom away

        say(f"runs at work elsewhere are shown as last heard of: {clean_lines(client.away.message)}")


def find_artifact(client: Client, text: str) -> ArtifactView:
    """The output of `RUN/STEP/OUTPUT`; a step's only output needs no name.

    Raises `NotFoundError` with the closest names, `UsageError` for text of another form.
    """
    parts = text.split("/")
    if len(parts) not in {2, 3} or not all(parts):
        raise UsageError(f"{text!r} names no artifact", "write RUN/STEP/OUTPUT, such as latest/train/model")
    run = client.run(parts[0])
    step = run.steps.get(parts[1])
    if step is None:
        raise NotFoundError(
            f"run {short(run.id)} has no step {parts[1]!r}{closest(parts[1], run.steps)}",
            f"its steps: {', '.join(run.steps)}",
        )
    names = ", ".join(step.outputs) or "none"
    if len(parts) == 3 and parts[2] in step.outputs:
        return step.outputs[parts[2]]
    if len(parts) == 2 and len(step.outputs) == 1:
        return next(iter(step.outputs.values()))
    if len(parts) == 2 and step.outputs:
        raise UsageError(f"step {parts[1]!r} has {len(step.outputs)} outputs", f"name one: {names}")
    near = closest(parts[2], step.outputs) if len(parts) == 3 else ""
    raise NotFoundError(
        f"step {parts[1]!r} of run {short(run.id)} ({step.state}) has no output {'/'.join(parts[2:])!r}{near}",
        f"its outputs: {names}",
    )
