"""Workers and the nursery are killed at random while attempts run: each attempt ends once, and nothing hangs."""

from __future__ import annotations

import os
import signal
import time
from random import Random

import pytest

from core import get_context, log_metadata
from core.model.states import StepState

SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT, signal.SIGSTOP)


def works() -> int:
    for number in range(3):
        print("x" * 100_000)
        log_metadata(number=number)
        time.sleep(0.002)
    get_context().checkpoint(5)
    return 7


def strike(random: Random, r, running: dict) -> None:
    """Something bad, or nothing."""
    luck = random.random()
    born = [seat.pid for seat in r.pool._seats.values() if seat.pid]
    if luck < 0.3 and born:
        try:
            os.kill(random.choice(born), random.choice(SIGNALS))
        except ProcessLookupError:
            return
    elif luck < 0.35 and running:
        r.pool.stop(random.choice(list(running.values())), now=random.random() < 0.5)
    elif luck < 0.37 and r.pool._nursery:
        os.kill(r.pool._nursery.pid, signal.SIGKILL)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_attempt_ends_once_whoever_is_killed(rig, seed) -> None:
    random = Random(seed)  # noqa: S311 - repeats itself on purpose
    r = rig(works, slots=4, grace=0.2, step={"timeout": 1})
    running, ended = {}, []
    until = time.monotonic() + 20
    while len(ended) < 120:
        assert time.monotonic() < until, f"seed {seed}: {running}"
        while len(running) < 4 and len(running) + len(ended) < 120:
            task = r.launch("works")
            running[task.number] = task
        for task, result in r.pool.wait(0.01):
            del running[task.number]
            ended.append(result.state)
            closed = [number for _, number in r.log.closed]
            assert closed.count(task.number) <= 1
            if result.state is StepState.COMPLETED:
                assert len(r.log.out("works", task.number)) == 300_003
        strike(random, r, running)
    assert ended.count(StepState.COMPLETED) > 40
