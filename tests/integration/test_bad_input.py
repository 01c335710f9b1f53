"""Bad input, the whole way to the person: what is wrong, where, what to do; the exit code; nothing ran, nothing lost."""

from __future__ import annotations

import json
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

from core import Client, RunFailed, log_metadata, pipeline, step
from core.cli.program import main
from core.errors import CorruptDataError, DefinitionError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[..., subprocess.CompletedProcess[str]]

FLOW = """
from typing import Annotated
from core import step, pipeline

@step
def make(size: int = 20_000) -> Annotated[str, "text"]:
    return "x" * size

@step(cache=False)
def use(text: str) -> int:
    return len(text)

@pipeline
def flow(size: int = 20_000, note: str = ""):
    use(make(size))

if __name__ == "__main__":
    flow()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with `flow.py` in it; programs that are started there talk in plain lines."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "flow.py").write_text(FLOW)
    monkeypatch.chdir(place)
    monkeypatch.setenv("CORE_DISPLAY", "none")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield place
    sys.modules.pop("flow", None)


@pytest.fixture
def refused(python: Call, core_home: Path) -> Callable[..., str]:
    """What a program says on stderr that ends with `code`; in it none of core's own frames, and no run was recorded."""

    def call(*words: object, code: int, recorded: bool = False) -> str:
        told = python(*words, code=code).stderr
        assert f"src{os.sep}core{os.sep}" not in told
        assert "hint: " in told
        assert recorded or not (core_home / "logs").exists()
        return told

    return call


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


@step
def one() -> int:
    return 1


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


BAD_OUTPUTS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "attribute": (Model, r"its part '\.guard', a '_thread:lock', fails: it is a lock", "__getstate__"),
    "nested": (nested, r"item \['best'\]\[1\]\['model'\]: .*its part '\.guard'", "__getstate__"),
    "generator": (lambda: (n for n in [1]), "is an iterator, which can be read only once", r"return list\(\.\.\.\)"),
    "file": (lambda: open(os.devnull), "is an open file", r"pathlib\.Path"),  # noqa: SIM115
    "socket": (socket.socket, "is a network connection", "open it where it is used"),
    "lock": (threading.Lock, "is a lock", "make it where it is used"),
    "deep": (endless, "nested too deep", "return it flat"),
}


@pytest.mark.parametrize("kind", BAD_OUTPUTS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
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


def test_an_output_that_is_not_what_the_annotation_says(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "wrong.py").write_text(
        FLOW.replace("-> int:\n    return len(text)", "-> list[int]:\n    return [1, 'x']")
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
    (folder / "bad.py").write_text(FLOW.replace("return len(text)", "return use(text)"))
    told = refused("bad.py", code=1, recorded=True)
    assert "RecursionError" in told
    assert "more times]" in told
    assert len(told.splitlines()) < 30
    (folder / "bad.py").write_text(FLOW.replace("use(make(size))", "flow()"))
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
    monkeypatch.setenv("CORE_HOME", str(folder / "flow.py"))
    for words in (["flow.py"], ["-m", "core", "run", "flow.py"], ["-m", "core", "runs", "list"]):
        told = refused(*words, code=7)
        assert "flow.py' cannot be made: a file has this name" in told
        assert "set CORE_HOME to a folder" in told
    assert (folder / "flow.py").read_text() == FLOW


# Names ---------------------------------------------------------------------------------------------------------------


NAMES = ["../../etc", "..", "a\0b", "x" * 300, "\u202eabc", "a;b", "", "-x", "a\nb", "\x1b[31m", "\ud800", "e\u0301"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_hostile_names_of_steps_and_pipelines(name: str, core_home: Path) -> None:
    def work() -> int:
        return 1

    for declare in (
        lambda: step(name=name)(work),
        lambda: pipeline(name=name)(work),
        lambda: step(work).with_options(name=name),
    ):
        with pytest.raises(DefinitionError, match=r"(?s)work': the name '.*hint: ") as caught:
            declare()
        assert str(caught.value).replace("\n", "").isprintable()
        assert str(caught.value).isascii()
        assert len(str(caught.value)) < 300
    assert not core_home.exists()


def test_a_wrong_declaration_shows_its_line_only(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "bad.py").write_text(FLOW.replace("@step\n", "@step(name='../x', )\n"))
    told = refused("bad.py", code=2)
    assert told.startswith(f'  File "{folder}/bad.py", line 5, in <module>')
    assert "Traceback" not in told
    assert "the name '../x' has characters that a file name or a terminal may trip over [definition]" in told


@pytest.mark.parametrize("name", [*NAMES, "%", "'", "*", "ffffffff"], ids=range(len(NAMES) + 4))
def test_hostile_ids_of_runs(name: str, capsys: pytest.CaptureFixture[str], core_home: Path) -> None:
    pipeline(lambda: one())()
    with pytest.raises(NotFoundError, match="there is no run"):
        Client().run(name)
    for command in ("show", "logs", "delete"):
        words = ["runs", command, name] if not name.startswith("-") else ["runs", command, "--", name]
        assert main(words) == 3
        told = capsys.readouterr().err
        assert "there is no run" in told
        assert told.replace("\n", "").isprintable()
    assert len(Client().runs()) == 1


VALUES = ["../../etc", "x" * 300, "\u202eabc", "a;b", "$(id)", "a\nb", "\x1b[31mred", "{}", "null", "="]


def test_hostile_values_are_only_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in VALUES:
        assert main(["run", "flow.py", "-p", f"note={value}"]) == 0
        assert Client().run().parameters["note"] == value
        capsys.readouterr()
        assert main(["runs", "show", "latest"]) == 0
        assert capsys.readouterr().out.replace("\n", "").isprintable()
        assert main(["runs", "show", "latest", "-o", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["parameters"]["note"] == value


def test_hostile_keys_of_metadata_and_keywords(capsys: pytest.CaptureFixture[str], core_home: Path) -> None:
    @step
    def work(**given: int) -> int:
        log_metadata(**{"../\x1b[2J\u202e": "\x1b[2J"})
        return len(given)

    run = pipeline(lambda: work(**{"../../a\u202e": 1, "\x1b[2J": 2}))()
    assert run.steps["work"].outputs["output"].load() == 2
    capsys.readouterr()
    assert main(["runs", "show", run.id]) == 0
    assert capsys.readouterr().out.replace("\n", "").isprintable()
    assert not list(core_home.parent.rglob("a*\u202e"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("size=many", "parameter 'size' of pipeline 'flow': size is str 'many', which is no int"),
        ("size=", "parameter 'size' of pipeline 'flow': size is str '', which is no int"),
        ("sise=3", "pipeline 'flow' has no parameter 'sise'"),
        ("si\x1b[31mse=3", "has no parameter 'si\\x1b[31mse'"),
        ("size", "-p 'size' is no parameter"),
        ("=3", "-p '=3' is no parameter"),
    ],
)
def test_wrong_parameters(
    words: str, told: str, folder: Path, core_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "flow.py", "-p", words]) == 2
    assert told in capsys.readouterr().err
    assert not (core_home / "core.db").exists()


# Configuration -------------------------------------------------------------------------------------------------------


BOMB = "\n".join(
    [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(12)] + ["parameters: {note: *a11}"]
)
FILES = {
    BOMB: (6, "run.yaml:", "aliases"),
    "parameters:\n  sise: 3\n": (2, "run.yaml:2: ", "pipeline 'flow' has no parameter 'sise'"),
    "parameters:\n  note: a\n  size: x\n": (2, "run.yaml:3: ", "size is str 'x', which is no int"),
    "stack: default\nsteps:\n  maek: {cache: false}\n": (2, "run.yaml:3: ", "no step 'maek'; did you mean 'make'?"),
    "steps:\n  make: {cahce: false}\n": (6, "run.yaml:2: ", "'cahce'; did you mean 'cache'?"),
    "paramters:\n  size: 3\n": (6, "run.yaml:1: ", "'paramters'; did you mean 'parameters'?"),
    "parameters:\n  size: !!python/name:os.system\n": (6, "run.yaml:2: ", "is not supported"),
    "parameters: [1\n": (6, "run.yaml:2: ", "not valid YAML"),
}


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
@pytest.mark.parametrize("verb", [["run"], ["pipeline", "check"]], ids=["run", "check"])
def test_a_wrong_configuration_file_is_told_with_its_line(
    verb: list[str], text: str, folder: Path, core_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "run.yaml").write_text(text)
    code, place, what = FILES[text]
    assert main([*verb, "flow.py", "--config", "run.yaml"]) == code
    told = capsys.readouterr().err
    assert place in told
    assert what in told
    assert "hint: " in told
    assert not (core_home / "core.db").exists()


SETTINGS = {
    "CORE_DISPLAY=purple": "setting 'display' is 'purple' in CORE_DISPLAY; expected one of auto, rich, plain, none",
    "CORE_INLINE_LIMIT=-5": "setting 'inline_limit' is '-5' in CORE_INLINE_LIMIT; expected a whole number",
    "CORE_CACHE=maybe": "setting 'cache' is 'maybe' in CORE_CACHE; expected true or false",
    "CORE_FAILPOINTS=zz": "unknown failpoint 'zz' in CORE_FAILPOINTS",
    "[tool.core]\nhme = 'x'": "unknown setting 'hme' in",
    "[tool.core]\ncache = 5": "pyproject.toml:2; expected true or false",
    "[tool.core": "is not valid TOML",
    "tool = 3  # tool.core": "is 3; expected a table",
}


@pytest.mark.parametrize("text", SETTINGS)
def test_a_wrong_setting(text: str, folder: Path, refused: Callable[..., str], monkeypatch: Any) -> None:
    name, _, value = text.partition("=")
    if text.startswith("CORE_"):
        monkeypatch.setenv(name, value)
    else:
        (folder / "pyproject.toml").write_text(text)
    told = refused("-m", "core", "run", "flow.py", code=6)
    assert SETTINGS[text] in told
    if name != "CORE_FAILPOINTS":  # that one is read when core is imported
        assert SETTINGS[text] in refused("flow.py", code=6)


def test_a_stack_that_is_not_there(folder: Path, refused: Callable[..., str], monkeypatch: Any) -> None:
    monkeypatch.setenv("CORE_STACK", "nope")
    for words in (["flow.py"], ["-m", "core", "run", "flow.py"]):
        told = refused(*words, code=3)
        assert "there is no stack 'nope'" in told
        assert "cached_property" not in told
        assert "self.func" not in told


# Files that hold no pipeline -----------------------------------------------------------------------------------------


TARGETS = {
    "def flow(:\n": (2, "'bad.py' could not be imported: SyntaxError: invalid syntax (bad.py:1)"),
    "x = 1\nimport numpyy\n": (2, "ModuleNotFoundError: No module named 'numpyy' (bad.py:2)"),
    "x = 1\n{}['key']\n": (2, "'bad.py' could not be imported: KeyError: 'key' (bad.py:2)"),
    "raise SystemExit(0)\n": (2, "'bad.py' could not be imported: SystemExit: 0 (bad.py:1)"),
    "\0": (2, "null bytes (bad.py:1)"),
    "print('hello')\n": (3, "'bad.py' has no pipeline"),
    FLOW.partition("if __name__")[0] + "flow()\n": (2, "pipeline 'flow' is called while 'bad.py' is imported"),
    FLOW.replace("use(make(size))", "{}['key']"): (2, "pipeline 'flow' raised KeyError while it was compiled"),
}


@pytest.mark.parametrize("text", TARGETS, ids=range(len(TARGETS)))
def test_a_file_that_cannot_be_used(text: str, folder: Path, refused: Callable[..., str]) -> None:
    (folder / "bad.py").write_text(text)
    code, what = TARGETS[text]
    assert what in refused("-m", "core", "run", "bad.py", code=code)


@pytest.mark.parametrize(
    ("target", "code", "what"),
    [
        ("notes.txt", 2, "'notes.txt' is no Python file"),
        ("nope.py", 3, "there is no file 'nope.py'"),
        ("../../etc/passwd", 3, "there is no file '../../etc/passwd'"),
        (".", 2, "'.' is a folder"),
        ("", 2, "'' is no file and no module"),
        ("\u202e.py", 3, "there is no file '\\u202e.py'"),
        ("a;b.py", 3, "there is no file 'a;b.py'"),
        ("x" * 300 + ".py", 3, "there is no file 'xxx"),
        ("a\0b.py", 3, "there is no file 'a\\x00b.py'"),
        ("flow.py:nope", 3, "'flow.py' has no pipeline 'nope'"),
    ],
)
def test_a_target_that_is_none(
    target: str, code: int, what: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "notes.txt").write_text("hello")
    assert main(["run", target]) == code
    told = capsys.readouterr().err
    assert what in told
    assert "hint: " in told
    assert "Traceback" not in told


# What stands beside --------------------------------------------------------------------------------------------------


def test_a_broken_plugin_is_named_and_set_aside(folder: Path, python: Call, monkeypatch: Any) -> None:
    (folder / "mine.py").write_text("raise ValueError('broken on purpose')\n")
    monkeypatch.setenv("CORE_PLUGINS", "./mine.py")
    python("flow.py")
    told = python("-m", "core", "doctor", code=6).stdout
    assert "mine.py) is set aside: ValueError: broken on purpose" in told
    assert "CORE_PLUGINS_BLOCK=mine silences this" in told


def test_a_folder_core_beside_the_program(folder: Path, python: Call) -> None:
    (folder / "core").mkdir()
    python("flow.py")  # without an __init__.py the installed one goes first
    (folder / "core" / "__init__.py").touch()
    assert "cannot import name 'step' from 'core'" in python("flow.py", code=1).stderr
    told = python("-P", "-m", "core", "doctor", code=6).stdout  # -P is how the `core` command begins
    assert f"'{folder}/core' hides `import core`" in told


def test_a_prompt_stays_open(python: Call) -> None:
    done = python("-i", "-c", "from core import Client; Client().run('x')", input="print('still', 'here')\n")
    assert "still here" in done.stdout
    assert "there is no run 'x'" in done.stderr
    assert "Error in sys.excepthook" not in done.stderr
