"""A context for steps that ask for one, so that a test can call them as the plain functions that they are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.context import StepContext, enter, leave

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


@contextmanager
def step_context(step: str = "step", attempt: int = 1) -> Iterator[dict[str, Any]]:
    """While entered, `get_context()` and `log_metadata()` work outside a run; gives the dict that metadata goes into.

    `with step_context() as metadata: train(data)`, then look at `metadata["accuracy"]`.
    """
    metadata: dict[str, Any] = {}
    kept: list[Any] = []
    context = StepContext(
        "00000000-0000-7000-8000-000000000000",
        "test",
        step,
        attempt,
        metadata.update,
        kept.append,
        lambda default: kept[-1] if kept else default,
    )
    token = enter(context)
    try:
        yield metadata
    finally:
        leave(token)
        context.close()
