"""`core runs logs`: what is shown of hostile text, of much text, and of a run that is at work."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cli.logs import Inert
from core.cli.output import readable_log
from core.logs import LogFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.unit.cli.conftest import Done

    Core = Callable[..., Done]

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = [
    b"\x1b]0;title\x07", b"\x1b]8;;http://x\x1b\\link", b"\x1b[2J", b"\x1b[1A", b"\x1b[?25l", b"\x1bc", b"\x9b2J", b"\xc2\x9b2J", b"\x07",
    b"\x08\x08\x08", b"\xe2\x80\xae", b"\xe2\x81\xa6", b"\xff\xfe", b"\xe2\x80", b"\x00", b"\x7f", b"\x1b[31", b"\x1bP1;2q\x1b\\", b"\r",
    b"\x1b[31mred\x1b[0m", "é名".encode(), b"text\n", b"\t",
]  # fmt: skip
PRINTS = """
import sys, time
from core import Retry, pipeline, step

@step(cache=False)
def first() -> int:
    print("first says")
    return 1

@step(cache=False, retry=Retry(2))
def second(number: int) -> int:
    from core import get_context
    attempt = get_context().attempt
    print("try", attempt)
    if attempt == 1:
        raise ValueError
    for word in ("one", "two"):
        print(word, flush=True)
        wait()
    return 1

def wait():
    import os
    while not os.path.exists("go"):
        time.sleep(0.02)

@pipeline
def flow() -> None:
    second(first())

if __name__ == "__main__":
    flow()
"""


@pytest.mark.parametrize("colour", [True, False])
@given(pieces=st.lists(st.sampled_from(HOSTILE)), cuts=st.lists(st.integers(0, 60)))
def test_nothing_hostile_is_shown_however_it_arrives(pieces: list[bytes], cuts: list[int], *, colour: bool) -> None:
    data, text, inert, at = b"".join(pieces), "", Inert(colour=colour), 0
    for cut in [*sorted(cuts), len(data)]:
        text += inert.feed(data[at:cut])
        assert not CONTROL.search(inert.partial)
        at = max(at, min(cut, len(data)))
    text += inert.feed(b"", ended=True)
    assert not CONTROL.search(COLOUR.sub("", text))
    assert colour or "\x1b" not in text
    assert text == readable_log(data.decode(errors="replace"), colour=colour)


def test_of_a_line_that_is_written_over_the_last_state_is_shown() -> None:
    inert = Inert(colour=False)
    text = "".join(inert.feed(b"\r%3d %%" % number) for number in range(100))
    assert inert.partial == " 99 %"
    assert text + inert.feed(b"\r100 %\r\nnext\n") == "100 %\nnext\n"
    assert inert.feed(b"a\rb\r\n") == "b\n"


def test_a_line_of_10_megabytes_does_not_pile_up() -> None:
    inert = Inert(colour=False)
    text = ""
    for _ in range(160):
        text += inert.feed(b"x" * 65536)
        assert len(inert.partial) <= 65536
    assert len(text + inert.feed(b"", ended=True)) == 160 * 65536


def run_of(core: Core) -> str:
    assert core("run", "train.py:training").code == 0
    return core("runs", "list", "-o", "json").out.split('"id": "')[1].split('"')[0]


def log_of(project: Path, run: str, step: str = "load", attempt: int = 1, limit: int = 1000) -> LogFile:
    return LogFile(str(project.parent / "home" / "logs" / run), step, attempt, limit)


def test_what_is_left_out_is_told(core: Core, project: Path) -> None:
    run = run_of(core)
    log = log_of(project, run)
    log.write(b"".join(b"%07d\n" % number for number in range(1000)))
    log.close()
    lines = core("runs", "logs", run, "load").out.splitlines()
    assert lines[0] == "loading 3"
    (gap,) = [line for line in lines if "bytes left out" in line]
    assert lines[-1] == "0000999"
    assert int(gap.split()[1].replace(",", "")) + sum(len(line) + 1 for line in lines if line != gap) in {8010, 8011}
    assert core("runs", "logs", run, "load", "--tail", "2").out == "0000998\n0000999\n"
    assert core("runs", "logs", run, "--tail", "1").out == "0000999\n"


def test_hostile_text_is_inert_in_a_pipe_too(core: Core, project: Path) -> None:
    run = run_of(core)
    log = log_of(project, run)
    log.write(b"\x1b]0;owned\x07\x1b[31mred\x1b[0m\n")
    log.close()
    assert core("runs", "logs", run, "load").out == "loading 3\n\\x1b]0;owned\\x07red\n"


def test_all_calls_of_a_mapped_step(core: Core, project: Path) -> None:
    (project / "many.py").write_text(
        "from core import pipeline, step\n@step\ndef say(x: int) -> int:\n    print('item', x)\n    return x\n"
        "@pipeline\ndef flow(): say.map([1, 2])\n"
    )
    assert core("run", "many.py:flow").code == 0
    assert core("runs", "logs", "latest", "say").out == "item 1\nitem 2\n"
    assert core("runs", "logs", "latest", "say[1]").out == "item 2\n"
    assert core("runs", "logs", "latest", "sya").code == 3


def test_a_run_that_has_ended_is_followed_to_its_end(core: Core) -> None:
    run = run_of(core)
    done = core("runs", "logs", run, "-f")
    assert (done.code, done.out) == (0, "loading 3\n")
    assert done.err.splitlines() == ["== load", f"run {run[-8:]} is completed"]
    assert core("runs", "logs", run, "load", "--follow", "--tail", "0").out == ""
    assert core("runs", "logs", run, "nothing", "-f").code == 3


def start(project: Path) -> subprocess.Popen[bytes]:
    (project / "flow.py").write_text(PRINTS)
    environment = {**os.environ, "CORE_HEARTBEAT": "0.5s"}
    return subprocess.Popen(
        [sys.executable, "flow.py"], cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@contextmanager
def follow(project: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "core", "runs", "logs", "latest", *words, "-f"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()  # where the test fails, too


def begun(project: Path) -> None:
    """Wait until the second attempt has printed."""
    for _ in range(500):
        if [path for path in (project.parent / "home").glob("logs/*/second.2.log") if path.stat().st_size]:
            return
        time.sleep(0.02)
    raise AssertionError


def test_a_run_at_work_is_followed(project: Path) -> None:
    program = start(project)
    begun(project)
    with follow(project) as following:
        assert following.stdout is not None
        early = [following.stdout.readline() for _ in range(3)]
        (project / "go").touch()
        out, err = following.communicate(timeout=30)
    assert program.wait(30) == 0
    assert early == ["first says\n", "try 2\n", "one\n"]
    assert out == "two\n"
    assert err.splitlines()[:-1] == ["== first", "== second, attempt 2"]
    assert err.endswith("is completed\n")
    assert following.returncode == 0


def test_a_run_that_is_lost_ends_it_and_ctrl_c_does(project: Path) -> None:
    program = start(project)
    begun(project)
    with follow(project, "second", "--attempt", "1") as stopped, follow(project, "second", "--tail", "1") as following:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == "try 1\n"
        stopped.send_signal(signal.SIGINT)
        assert stopped.communicate(timeout=30) == ("", "")
        assert stopped.returncode == 130
        program.kill()
        program.wait()
        out, err = following.communicate(timeout=30)
    assert out == "one\n"
    assert "is lost: its owner fell silent; `core runs resume" in err
    assert following.returncode == 0


def test_a_terminal_gets_colours_and_the_state_of_a_progress_bar(core: Core, project: Path) -> None:
    run = run_of(core)
    log = log_of(project, run)
    log.write(b"\x1b[32mgreen\x1b[2J\x1b]0;x\x07\n" + b"".join(b"\r%d%%" % number for number in range(9)))
    log.close()
    main, side = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    subprocess.run(
        [sys.executable, "-m", "core", "runs", "logs", run, "load", "-f"],
        cwd=project, stdout=side, stderr=subprocess.DEVNULL, env=environment, check=True,
    )  # fmt: skip
    os.close(side)
    shown = os.read(main, 1 << 16).decode()
    os.close(main)
    assert shown == "loading 3\r\n\x1b[32mgreen\\x1b[2J\\x1b]0;x\\x07\r\n\x1b[0m\r8%\x1b[K\r\x1b[K8%\r\n"
