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

from core import Client, RunFailed, pipeline, step

if TYPE_CHECKING:
    from collections.abc import Callable
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


CANARY = """
import os, subprocess, sys
from core import get_context, log_metadata, pipeline, step

OPTION = "canary-option-7f3a"

@step(cache=False)
def leak() -> None:
    os.environ["LOADED_PASSWORD"] = "canary-loaded-51bc"
    for name in ("CORE_TEST_API_TOKEN", "STEP_SECRET", "LOADED_PASSWORD"):
        value = os.environ[name]
        print("printed", value)
        sys.stdout.write(value[:9]); sys.stdout.flush(); sys.stdout.write(value[9:] + "\\n")
        print("error", value, file=sys.stderr)
        log_metadata(**{"value": value, value: [value]})
    values = [os.environ.pop(name) for name in ("STEP_SECRET", "LOADED_PASSWORD")]
    raise ValueError(f"no use: {values} {os.environ['CORE_TEST_API_TOKEN']}")

def hook(context, error):
    print("hook", error)
    raise OSError(str(error))

@pipeline
def leaking() -> None:
    leak.with_options(environment={"STEP_SECRET": OPTION}, on_failure=hook)()

if __name__ == "__main__":
    leaking()
"""


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("words", [["canary.py"], ["-m", "core", "run", "canary.py:leaking"]])
def test_no_secret_is_recorded_or_shown(tmp_path: Path, core_home: Path, workers: str, words: list[str]) -> None:
    (tmp_path / "canary.py").write_text(CANARY)
    environment = {**os.environ, "CORE_TEST_API_TOKEN": "canary-variable-99e0", "CORE_WORKERS": workers}
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.count("printed ***") == 3
    assert done.stderr.count("error ***") == 3
    assert "ValueError: no use: ['***', '***'] ***" in done.stderr
    files = [path for path in core_home.rglob("*") if path.is_file()]
    assert any(b"printed ***" in path.read_bytes() for path in files)
    for text in (done.stdout.encode(), done.stderr.encode(), *(path.read_bytes() for path in files)):
        assert b"variable-99e0" not in text
        assert b"loaded-51bc" not in text
        assert b"option-7f3a" not in text or text.startswith(b"SQLite")  # the graph has the options that were written


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


@step(cache=False)
def flood() -> None:
    threads = [threading.Thread(target=lambda: print("alone"))]
    threads += [threading.Thread(target=print_numbers, args=(tag,)) for tag in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def print_numbers(tag: str) -> None:
    for number in range(50_000):
        print(f"{tag * 20} {number}\n", end="")  # one write: several may be mixed


@pipeline
def flooding() -> None:
    flood()


def test_threads_that_print_much_lose_nothing_and_keep_their_order(capfd: pytest.CaptureFixture[str]) -> None:
    run = flooding()
    text = run.steps["flood"].log()
    for shown in (text, capfd.readouterr().out):
        for tag in "abcd":
            found = [line for line in shown.splitlines() if line.startswith(tag * 20)]
            assert found == [f"{tag * 20} {number}" for number in range(50_000)]


def test_a_terminal_that_nobody_reads_does_not_stop_the_heart(tmp_path: Path) -> None:
    program = tmp_path / "run.py"
    program.write_text(
        "import time\nfrom core import pipeline, step\n@step(cache=False)\ndef shout(n: int) -> None:\n"
        "    print('x' * n)\n    time.sleep(1)\n@pipeline\ndef p(n: int): shout(n)\nif __name__ == '__main__':\n"
        "    import sys; p(int(sys.argv[1]))\n"
    )
    environment = {**os.environ, "CORE_HEARTBEAT": "0.2s"}
    for much in ("70000", "3000000"):  # more than the pipe takes, written out by the heart's tick or by the step
        command = [sys.executable, str(program), much]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as running:
            time.sleep(1.8)
            assert Client().run().state == "running"
            out, err = running.communicate(timeout=30)
        assert running.returncode == 0, err
        assert len(out) == int(much) + 1


def test_what_was_printed_before_a_run_stands_before_it(tmp_path: Path, python: Callable[..., Any]) -> None:
    program = tmp_path / "run.py"
    text = "print('before')\ntalking()\nprint('after')\n"
    program.write_text(
        f"import sys\nsys.path.insert(0, {os.path.dirname(__file__)!r})\nfrom test_capture import talking\n{text}"
    )
    assert python(program).stdout == "before\nhéllo\nafter\n"


def test_an_unwritable_log_folder_ends_no_run(core_home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    core_home.mkdir()
    (core_home / "logs").write_text("a file stands here")
    run = talking()
    assert run.state == "completed"
    assert run.steps["talk"].log() == ""
    out, err = capfd.readouterr()
    assert "héllo" in out
    assert err.count("step logs are no longer written: ") == 1


def test_no_logs_are_kept_with_a_limit_of_0(
    core_home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORE_LOG_LIMIT", "0")
    assert talking().steps["talk"].log() == ""
    assert not (core_home / "logs").exists()
    assert "héllo" in capfd.readouterr().out


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
