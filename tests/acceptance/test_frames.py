"""The road is short: few frames of ours, few modules, and none entered twice, from a pipeline's call to a step's body."""

from __future__ import annotations

import os
import sys
from itertools import groupby

import core
from core import pipeline, step

OURS = os.path.dirname(os.path.abspath(core.__file__))


@step
def where_am_i(after: int) -> list[str]:
    """Modules of core on the stack, outermost first."""
    frame, found = sys._getframe(), []
    while frame is not None:
        if os.path.abspath(frame.f_code.co_filename).startswith(OURS):
            found.append(f"{frame.f_globals['__name__']}:{frame.f_code.co_qualname}")
        frame = frame.f_back
    return found[::-1]


@step
def first() -> int:
    return 1


@pipeline
def asks() -> list[str]:
    return where_am_i(first())


def test_at_most_eight_frames_and_six_modules_and_no_return_to_one_left() -> None:
    frames = asks().steps["where_am_i"].outputs["output"].load()
    modules = [module for module, _ in groupby(frame.partition(":")[0] for frame in frames)]
    assert len(frames) <= 8, frames
    assert len(set(modules)) <= 6, frames
    assert len(modules) == len(set(modules)), frames
