"""A pipeline whose steps leave a trace: its tests run them as jobs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from core import Retry, get_context, log_metadata, pipeline, step


class NoLuck(Exception):
    """Raised by a step."""


def trace(word: str) -> None:
    """Say on disk that a step was called."""
    with Path(os.environ["TRACE"]).open("a") as file:
        file.write(word + "\n")


@step
def make(size: int = 3) -> list[int]:
    """Small data."""
    trace("make")
    print("making", size)
    log_metadata(size=size)
    return list(range(size))


@step
def work(data: list[int], how: str = "sum") -> int:
    """Does what `how` says."""
    trace(how)
    print("working", how, file=sys.stderr)
    if how == "raise":
        raise NoLuck("no luck today")
    if how == "exit":
        os._exit(9)
    if how == "crash":
        os.kill(os.getpid(), 11)
    if how == "killed":
        os.kill(os.getpid(), 9)
    if how == "eat":
        eaten = [os.urandom(1 << 20) * 16 for _ in range(64)]
        data.append(len(eaten))
    if how == "sleep":
        time.sleep(60)
    if how == "wait":
        while not Path(os.environ["GO"]).exists():
            time.sleep(0.02)
    if how == "spoil":
        shutil.rmtree(os.environ["SPOIL"])
        Path(os.environ["SPOIL"]).touch()
    return sum(data)


@step
def fails(unless: str) -> int:
    """Until there is a file."""
    if not os.path.exists(unless):
        raise NoLuck("not yet")
    return 1


@pipeline
def failing(unless: str) -> None:
    """A step that fails until there is a file."""
    fails(unless)


@step(retry=Retry(attempts=3, delay=0.01, on=(NoLuck,)))
def twice(number: int) -> int:
    """Fails at first, and goes on from what it kept."""
    context = get_context()
    trace("twice")
    if context.last_checkpoint(0) == 0:
        context.checkpoint(number)
        raise NoLuck("the first try")
    return int(context.last_checkpoint(0)) + 1


@step(retry=Retry(attempts=1, delay=0.01, infrastructure=1))
def patient(number: int = 41) -> int:
    """Keeps what it has and waits for its end; goes on from what it kept."""
    context = get_context()
    kept = context.last_checkpoint(0)
    print("from", kept, end="")
    if kept == 0:
        context.checkpoint(number)
        trace("kept")
        time.sleep(60)
    trace("went-on")
    return int(kept) + 1


@pipeline
def taken_away() -> None:
    """A step that is ended from outside."""
    patient()


@pipeline
def flow(how: str = "sum", size: int = 3) -> None:
    """Two steps."""
    work(make(size), how)


@pipeline
def again() -> None:
    """A step that is tried again."""
    twice(work(make()))


@pipeline
def wide() -> None:
    """Steps that may run side by side."""
    data = make()
    for name in "abc":
        work.with_options(name=name, cache=False)(data, name)
