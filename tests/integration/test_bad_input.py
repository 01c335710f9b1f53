"""Bad input, the whole way to the person: what is wrong, where, what to do; the exit code; nothing ran, nothing lost."""

from __future__ import annotations

import os
import pty
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from core import Client, RunFailed, pipeline, step
from core.errors import CorruptDataError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[..., subprocess.CompletedProcess[str]]


def flow(folder: Path) -> str:
    """The program that every test starts from."""
    return (folder / "flow.py").read_text()


def in_terminal(*words: object) -> str:
    """What a program writes to a terminal, its stderr included."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([sys.executable, *map(str, words)], stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    try:
        while data := os.read(leader, 65536):
            shown += data
    except OSError:  # Linux: the other end is closed
        pass
    process.wait(60)
    os.close(leader)
    return shown.decode()


# Outputs -------------------------------------------------------------------------------------------------------------


class Model:
    def __init__(self) -> None:
        self.name = "mine"
        self.guard = threading.Lock()


def nested() -> Any:
    return {"best": [1, {"model": Model()}]}


def endless() -> Any:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def kept(opened: Any) -> Any:
    """What a test must close: nobody else does."""
    OPENED.append(opened)
    return opened


OPENED: list[Any] = []
BAD_OUTPUTS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "attribute": (Model, r"its part '\.guard', a '_thread:lock', fails: it is a lock", "__getstate__"),
    "nested": (nested, r"item \['best'\]\[1\]\['model'\]: .*its part '\.guard'", "__getstate__"),
    "generator": (lambda: (n for n in [1]), "is an iterator, which can be read only once", r"return list\(\.\.\.\)"),
    "file": (lambda: kept(open(os.devnull)), "is an open file", r"pathlib\.Path"),  # noqa: SIM115
    "socket": (lambda: kept(socket.socket()), "is a network connection", "open it where it is used"),
    "lock": (threading.Lock, "is a lock", "make it where it is used"),
    "deep": (endless, "nested too deep", "return it flat"),
}


@pytest.mark.parametrize("kind", BAD_OUTPUTS)
def test_an_output_that_cannot_be_stored(kind: str) -> None:
    make, what, mend = BAD_OUTPUTS[kind]

    @step
    def bad() -> Annotated[Any, "thing"]:
        return make()

    with pytest.raises(RunFailed) as caught:
        pipeline(lambda: bad())()
    told = str(caught.value.__cause__)
    assert "output 'thing' of step 'bad' (test_bad_input.py:" in told
    message, _, hint = told.replace("\n", " ").partition("hint: ")
    assert re.search(what, message), told
    assert re.search(mend, hint), told
    assert caught.value.run.steps["bad"].outputs == {}
    while OPENED:
        OPENED.pop().close()


def test_an_output_that_is_not_what_the_annotation_says(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "wrong.py").write_text(
        flow(folder).replace("-> int:\n    return len(text)", "-> list[int]:\n    return [1, 'x']")
    )
    told = refused("wrong.py", code=1, recorded=True)
    expected = "output 'output' of step 'use' (wrong.py:9) is not what its annotation says: expected list[int]"
    assert expected in told
    assert "item [1] is str 'x', not int" in told
    assert Client().run().steps["make"].outputs["text"].load() == "x" * 20_000


DEFINITIONS = {
    "def load(rows) -> int:\n    return 1": "parameter 'rows' of step 'bad:load' (bad.py:3) has no annotation",
    "def load(rows: int):\n    return 1": "step 'bad:load' (bad.py:3) has no return annotation",
    "def load(rows: int) -> int:\n    yield 1": "is a generator: a step returns, it does not yield",
    "def load(rows: int) -> Annotated[int, '../\u202e']:\n    return 1": "output name '../\\u202e' of step 'bad:load'",
}


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_step_that_cannot_work_runs_nowhere(definition: str, folder: Path, refused: Callable[..., str]) -> None:
    imports = "from typing import Annotated\nfrom core import step, pipeline\n"
    calls = "@pipeline\ndef flow():\n    load(1)\nif __name__ == '__main__':\n    flow()\n"
    (folder / "bad.py").write_text(f"{imports}@step\n{definition}\n{calls}")
    for words in (["bad.py"], ["-m", "core", "run", "bad.py"], ["-m", "core", "pipeline", "check", "bad.py"]):
        told = refused(*words, code=2)
        assert DEFINITIONS[definition] in told
        assert 'bad.py", line 8' in told


def test_recursion(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "bad.py").write_text(flow(folder).replace("return len(text)", "return use(text)"))
    told = refused("bad.py", code=1, recorded=True)
    assert "RecursionError" in told
    assert "more times]" in told
    assert len(told.splitlines()) < 30
    (folder / "bad.py").write_text(flow(folder).replace("use(make(size))", "flow()"))
    assert "pipeline 'flow' calls itself: flow -> flow" in refused("bad.py", code=2, recorded=True)
    assert len(Client().runs()) == 1


# What steps print ----------------------------------------------------------------------------------------------------


LOUD = r"""
import os, sys
from core import step, pipeline

@step
def strange() -> int:
    print("\x1b[31mred\x1b[2J\x1b]0;title\x07\u202e")
    sys.stdout.flush()
    sys.stdout.buffer.write(bytes(range(256)) + b"\n")
    raise ValueError("bad \x1b[2J\x1b]0;title\x07 value \u202e")

@pipeline
def flow():
    strange()

if __name__ == "__main__":
    flow()
"""


@pytest.mark.parametrize("words", [["loud.py"], ["-m", "core", "run", "loud.py"]])
def test_escape_sequences_do_nothing_to_a_terminal(words: list[str], folder: Path, monkeypatch: Any) -> None:
    (folder / "loud.py").write_text(LOUD)
    monkeypatch.setenv("CORE_DISPLAY", "rich")
    monkeypatch.setenv("TERM", "xterm")
    live = in_terminal(*words)
    commands = (["runs", "logs", "latest"], ["runs", "show", "latest"], ["runs", "list"])
    for shown in (live, *(in_terminal("-m", "core", *command) for command in commands)):
        assert "\x1b[2J" not in shown
        assert "\x1b]0;" not in shown
        assert "\x07" not in shown
        assert "\u202e" not in shown
    assert "bad \\x1b[2J" in live


# Artifacts -----------------------------------------------------------------------------------------------------------


def flip(blob: Path) -> None:
    data = bytearray(blob.read_bytes())
    data[100] ^= 1
    blob.write_bytes(data)


def cut(blob: Path) -> None:
    blob.write_bytes(blob.read_bytes()[:100])


def replace_by_folder(blob: Path) -> None:
    blob.unlink()
    blob.mkdir()


SPOIL: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "flipped": (flip, 6, "holds other bytes"),
    "cut": (cut, 6, "holds other bytes"),
    "missing": (lambda blob: blob.unlink(), 3, "is not in"),
    "folder": (replace_by_folder, 6, "cannot be read"),
}


@pytest.mark.parametrize("kind", SPOIL)
def test_spoilt_bytes_are_told_whoever_loads_them(
    kind: str, folder: Path, core_home: Path, python: Call, refused: Callable[..., str]
) -> None:
    spoil, code, what = SPOIL[kind]
    python("flow.py")
    (blob,) = (path for path in (core_home / "artifacts").rglob("*") if path.is_file() and path.stat().st_size > 9_000)
    blob.chmod(0o600)
    spoil(blob)
    with pytest.raises((CorruptDataError, NotFoundError), match=f"output 'text' of step 'make': .*{what}"):
        Client().run().steps["make"].outputs["text"].load()
    told = refused("-m", "core", "artifact", "load", "latest/make/text", code=code, recorded=True)
    assert "output 'text' of step 'make': artifact blake3:" in told
    assert what in told
    if kind == "missing":  # planning sees it
        python("flow.py")
    else:
        told = refused("flow.py", code=1, recorded=True)
        assert "output 'text' of step 'make': artifact blake3:" in told
        assert "--no-cache make`" in told
        if kind == "folder":
            blob.rmdir()
        python("-m", "core", "run", "flow.py", "--no-cache", "make")
    assert Client().run().steps["use"].outputs["output"].load() == 20_000


# Databases -----------------------------------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5_000])


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()


DATABASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, "is damaged"),
    "foreign": (foreign, "is a database of another program, not of core"),
    "text": (lambda path: path.write_text("hello\n" * 1_000), "is not a database of core's"),
    "newer": (newer, "has schema 999; this version of core knows up to"),
}


@pytest.mark.parametrize("kind", DATABASES)
def test_a_database_that_is_not_ours_is_left_alone(
    kind: str, folder: Path, core_home: Path, python: Call, refused: Callable[..., str]
) -> None:
    spoil, what = DATABASES[kind]
    python("flow.py")
    database = core_home / "core.db"
    spoil(database)
    before = database.read_bytes()
    for words in (["flow.py"], ["-m", "core", "run", "flow.py"], ["-m", "core", "runs", "list"]):
        told = refused(*words, code=6, recorded=True)
        assert repr(str(database)) in told
        assert what in told
        assert "nothing was changed" in told
    with pytest.raises(CorruptDataError, match="nothing was changed"):
        Client().runs()
    assert database.read_bytes() == before


def test_an_empty_database_is_a_new_one(folder: Path, core_home: Path, python: Call) -> None:
    core_home.mkdir()
    (core_home / "core.db").touch()
    python("flow.py")
    assert [row.state for row in Client().runs()] == ["completed"]


# Places that cannot be written ---------------------------------------------------------------------------------------


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home on a read-only file system, which stops root too."""
    home = tmp_path / "read-only"
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", home]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    monkeypatch.setenv("CORE_HOME", str(home))
    yield home
    subprocess.run(["umount", "-l", home], check=True)


def test_a_read_only_home(folder: Path, read_only: Path, refused: Callable[..., str], monkeypatch: Any) -> None:
    for words in (["flow.py"], ["-m", "core", "runs", "list"]):
        told = refused(*words, code=7)
        assert f"'{read_only}/core.db' cannot be opened" in told
        assert "point CORE_HOME elsewhere" in told
    monkeypatch.setenv("CORE_HOME", f"{read_only}/below")
    assert "cannot be made: Read-only file system" in refused("flow.py", code=7)


def test_a_file_in_the_place_of_the_home(folder: Path, refused: Callable[..., str], monkeypatch: Any) -> None:
    before = flow(folder)
    monkeypatch.setenv("CORE_HOME", str(folder / "flow.py"))
    for words in (["flow.py"], ["-m", "core", "run", "flow.py"], ["-m", "core", "runs", "list"]):
        told = refused(*words, code=7)
        assert "flow.py' cannot be made: a file has this name" in told
        assert "set CORE_HOME to a folder" in told
    assert (folder / "flow.py").read_text() == before
