"""Finds what a person names: a run by a part of its id or `latest`, an artifact by RUN/STEP/OUTPUT."""

from __future__ import annotations

from contextlib import contextmanager

from core.client import Client
from core.errors import NotFoundError, UsageError
from core.settings import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.view import ArtifactView, RunView


@contextmanager
def opened() -> Iterator[Client]:
    """A client that is closed afterwards."""
    client = Client()
    try:
        yield client
    finally:
        close = getattr(client, "close", None)
        if close:
            close()


def find_run(client: Client, text: str) -> RunView:
    """The run with this id, these first or last characters, or the newest for `latest`; raises `NotFoundError`."""
    if text != "latest":
        return client.run(text)
    rows = client.runs(limit=1)
    if not rows:
        raise NotFoundError("there are no runs yet", "`core run FILE:PIPELINE` makes one")
    return client.run(rows[0].id)


def find_artifact(client: Client, text: str) -> ArtifactView:
    """The output of `RUN/STEP/OUTPUT`; a step's only output needs no name.

    Raises `NotFoundError` with the closest names, `UsageError` for text of another form.
    """
    parts = text.split("/")
    if len(parts) not in {2, 3} or not all(parts):
        raise UsageError(f"{text!r} names no artifact", "write RUN/STEP/OUTPUT, such as latest/train/model")
    run = find_run(client, parts[0])
    step = run.steps.get(parts[1])
    if step is None:
        raise NotFoundError(
            f"run {run.id[-8:]} has no step {parts[1]!r}{closest(parts[1], run.steps)}",
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
        f"step {parts[1]!r} of run {run.id[-8:]} ({step.state}) has no output {'/'.join(parts[2:])!r}{near}",
        f"its outputs: {names}",
    )
