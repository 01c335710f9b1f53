"""Signals during a run: put off while core is at work, and which of them counts once the end is being recorded."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from core.builtin.stores.retry import Patience
from core.interrupt import Interruptible, doze, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

interrupt = partial(signal.raise_signal, signal.SIGINT)  # has no frame of its own: who calls it is interrupted
at_work = partial(Patience().call, interrupt)


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Signals do what they do in a program that handles none; all is as before afterwards."""
    defaults: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, default) for number, default in defaults.items()}
    yield
    assert {number: signal.getsignal(number) for number in defaults} == defaults
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    for number, handler in before.items():
        signal.signal(number, handler)


def passed(calls: Iterable[Callable[[], object]], interrupts: Interruptible | None = None) -> list[int]:
    """Numbers of the calls that came back before one was interrupted."""
    done: list[int] = []
    try:
        with interrupts or Interruptible(600.0):
            for number, call in enumerate(calls, 1):
                call()
                done.append(number)
    except KeyboardInterrupt:
        return done
    pytest.fail("nothing was interrupted")


def test_what_core_is_at_is_finished_first() -> None:
    began = time.monotonic()
    assert passed([at_work, at_work, partial(time.sleep, 20)]) == [1, 2]
    assert time.monotonic() - began < 10


def test_the_third_signal_waits_for_nothing() -> None:
    assert passed([at_work, at_work, at_work]) == [1, 2]


def test_what_a_library_does_for_core_is_finished_first_and_the_second_signal_waits_for_nothing() -> None:
    def library() -> None:
        interrupt()
        done.append(1)

    done: list[int] = []
    assert passed([partial(whole, library), partial(time.sleep, 20)]) == [1]
    assert passed([partial(whole, lambda: (library(), library()))]) == []
    assert done == [1, 1]


def test_a_wait_of_core_is_interrupted_at_once() -> None:
    assert passed([partial(doze, lambda _: interrupt(), None)]) == []


@pytest.mark.parametrize("call", [interrupt, at_work])
def test_while_the_end_is_recorded_only_the_third_signal_raises(call: Callable[[], object]) -> None:
    interrupts = Interruptible(600.0)
    pause = partial(time.sleep, 0.05)  # what was put off is dropped
    assert passed([at_work, interrupts.hold, pause, call, pause, call], interrupts) == [1, 2, 3, 4, 5]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_was_forked_in_a_step_dies_of_its_own_signal() -> None:
    with Interruptible(600.0) as interrupts:
        child = os.fork()
        if not child:
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                os._exit(7)
        _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM
    assert interrupts.told is None
