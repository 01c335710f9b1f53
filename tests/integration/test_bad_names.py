"""Hostile names and values, wrong settings and files that hold no pipeline: refused before anything ran."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from core import Client, log_metadata, pipeline, step
from core.cli.program import main
from core.errors import DefinitionError, NotFoundError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., subprocess.CompletedProcess[str]]


@step
def one() -> int:
    return 1


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
    (folder / "bad.py").write_text((folder / "flow.py").read_text().replace("@step\n", "@step(name='../x', )\n"))
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
    "steps:\n  make: {cahce: false}\n": (6, "run.yaml:2: ", "'cahce' of step 'make'; did you mean 'cache'?"),
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
    "CALLED": (2, "pipeline 'flow' is called while 'bad.py' is imported"),
    "RAISES": (2, "pipeline 'flow' raised KeyError while it was compiled"),
}


@pytest.mark.parametrize("text", TARGETS, ids=range(len(TARGETS)))
def test_a_file_that_cannot_be_used(text: str, folder: Path, refused: Callable[..., str]) -> None:
    flow = (folder / "flow.py").read_text()
    whole = {"CALLED": flow.replace("if __name__", "flow()\nif __name__")}
    whole["RAISES"] = flow.replace("use(make(size))", "{}['key']")
    (folder / "bad.py").write_text(whole.get(text, text))
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
