"""What steps print: streams that are closed, missing, odd or shared by threads; processes that steps fork."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from core import RunFailed, pipeline, step

if TYPE_CHECKING:
    from pathlib import Path


class Bare:
    """A stream that can only write, as some embedding programs set it."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


@step(cache=False)
def talk() -> int:
    print("héllo")
    print("aside", file=sys.stderr)
    return 1


@step(cache=False)
def meddle(how: str) -> int:
    stream: Any = sys.stdout
    print("before")
    stream.detach() if how == "detach" else stream.close()
    return 1


@pipeline
def meddling(how: str) -> int:
    talk.with_options(after=meddle(how))()
    return talk()


@pipeline
def talking() -> int:
    return talk()


@pytest.mark.parametrize("stream", [None, "bare", "text"])
def test_streams_that_are_missing_or_odd_do_not_matter(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"bare": Bare(), "text": io.StringIO()}.get(stream)
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(sys, "stderr", made)
    run = talking()
    assert sys.stdout is made
    assert set(run.steps["talk"].log().splitlines()) == {"héllo", "aside"}
    if isinstance(made, io.StringIO):
        assert "héllo\n" in made.getvalue()


def test_a_step_that_closes_its_stream_closes_nothing() -> None:
    before = sys.stdout
    run = meddling("close")
    assert run.state == "completed"
    assert "héllo" in run.steps["talk"].log()
    assert sys.stdout is before
    assert not before.closed


def test_a_terminal_that_is_gone_ends_no_run(tmp_path: Path) -> None:
    program = tmp_path / "run.py"
    program.write_text(
        "from core import pipeline, step\n@step\ndef shout() -> int:\n    print('x' * 300_000)\n    return 1\n"
        "@pipeline\ndef p(): shout()\nrun = p()\nassert len(run.steps['shout'].log()) == 300_001\n"
    )
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, str(program)], stdout=full, stderr=subprocess.PIPE, check=False)
    assert b"Traceback" not in done.stderr, done.stderr
    assert b"completed" in done.stderr


@step(cache=False)
def chatter(tag: str, lines: int) -> None:
    for _ in range(lines):
        print(tag)
        time.sleep(0.01)


@pipeline
def chattering(tag: str, lines: int) -> None:
    chatter(tag, lines)


def test_runs_in_threads_keep_their_output_apart() -> None:
    before = sys.stdout
    with ThreadPoolExecutor(3) as pool:
        runs = dict(zip("abc", pool.map(chattering, "abc", [9, 14, 19]), strict=True))
    assert sys.stdout is before
    for tag, run in runs.items():
        lines = run.steps["chatter"].log().split()
        assert set(lines) == {tag}
        assert len(lines) == {"a": 9, "b": 14, "c": 19}[tag]


@step(cache=False)
def outer() -> str:
    print("one")
    inner = talking()
    print("two")
    return inner.steps["talk"].log()


@pipeline
def nesting() -> str:
    return outer()


def test_a_pipeline_in_a_step_is_a_run_of_its_own() -> None:
    run = nesting()
    assert run.steps["outer"].outputs["output"].load() == "héllo\naside\n"
    out = [line for line in run.steps["outer"].log().splitlines() if line in {"one", "two", "héllo"}]
    assert out == ["one", "héllo", "two"]


@step(cache=False)
def set_up_logging() -> None:
    handler = logging.StreamHandler()
    handler.set_name("made in a step")
    logging.getLogger("of a step").addHandler(handler)


@pipeline
def logs() -> None:
    set_up_logging()


def test_a_handler_made_in_a_step_writes_to_the_real_stream_later() -> None:
    logs()
    (handler,) = logging.getLogger("of a step").handlers
    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is sys.stderr
    logging.getLogger("of a step").removeHandler(handler)


@step(cache=False)
def forks(how: str) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if how == "exits":
        sys.exit(3)
    if how == "raises":
        raise ValueError
    return 99


@pipeline
def forking(how: str) -> int:
    return forks(how)


@pytest.mark.parametrize(("how", "code"), [("exits", 3), ("raises", 1), ("returns", 0)])
def test_a_forked_process_that_comes_back_ends(how: str, code: int, tmp_path: Path) -> None:
    program = tmp_path / "run.py"
    text = f"from test_capture import forking\nprint(forking({how!r}).steps['forks'].outputs['output'].load())\n"
    program.write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"{code}\n"


class Answering:
    """Has every attribute that one asks for."""

    def __getattr__(self, name: str) -> int:
        if name.startswith("__") and name != "__await__":
            raise AttributeError(name)
        return 1


@step(cache=False)
async def waits() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


@step(cache=False)
def answers() -> Answering:
    return Answering()


@pipeline
def waiting() -> None:
    waits()
    answers()


def test_an_async_step_runs_where_a_loop_is_at_work() -> None:
    async def main() -> str:
        return str(waiting().state)

    assert asyncio.run(main()) == "completed"


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@step(cache=False)
def fails() -> None:
    raise Silent


@pipeline
def failing() -> None:
    fails()


def test_an_exception_that_cannot_say_what_it_is_is_recorded() -> None:
    with pytest.raises(RunFailed) as caught:
        failing()
    error = caught.value.run.steps["fails"].error
    assert error is not None
    assert error["type"] == "Silent"
    assert "RuntimeError" in error["message"]
