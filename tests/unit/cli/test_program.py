"""Finding commands, wrong use, and every way in which a command can end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.cli import program
from core.cli.command import Command, dashed, no_arguments
from core.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Done

    Core = Callable[..., Done]


def test_help_lists_every_noun_and_goes_to_stdout(core: Core) -> None:
    for words in ((), ("--help",), ("-h",), ("help",)):
        done = core(*words)
        assert (done.code, done.err) == (0, "")
        assert all(f"  {noun} " in done.out for noun in program.NOUNS)


@pytest.mark.parametrize("noun", program.NOUNS)
def test_every_command_has_help(core: Core, noun: str) -> None:
    for verb in program.commands(noun):
        done = core(noun, *filter(None, [verb]), "--help")
        assert done.code == 0
        assert f"usage: core {noun}" in done.out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["rnus"], "did you mean 'runs'"),
        (["runs", "lst"], "did you mean 'list'"),
        (["runs", "list", "--pipelne", "x"], "did you mean '--pipeline'"),
        (["runs", "list", "-o", "jsn"], "did you mean 'json'"),
        (["runs", "list", "--state", "faild"], "did you mean 'failed'"),
        (["runs", "list", "extra"], "'extra' is not expected"),
        (["runs", "show"], "required: RUN"),
        (["runs", "list", "--limit", "many"], "--limit"),
        (["runs", "list", "--limit", "-5"], "--limit"),
        (["--unknown"], "no command '--unknown'"),
        (["run"], "FILE:PIPELINE is missing"),
        (["config", "show", "--set", "cache"], "has no value"),
    ],
)
def test_wrong_use_names_the_closest_match_and_exits_with_2(core: Core, words: list[str], part: str) -> None:
    done = core(*words)
    assert (done.code, done.out) == (2, "")
    assert part in done.err
    assert "hint: " in done.err


def test_a_wrong_setting_exits_with_6(core: Core) -> None:
    assert core("config", "show", "--set", "cash=no").code == 6


def test_both_spellings_of_options() -> None:
    words = ["--no_cache", "a_b", "--set=x_y=1_0", "--", "--no_cache"]
    assert dashed(words) == ["--no-cache", "a_b", "--set=x_y=1_0", "--", "--no_cache"]


def test_version(core: Core) -> None:
    assert core("--version").out == core("version").out
    assert core("version").out.strip().count(".") == 2


def end_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `core version` raise `error`."""

    def call(_arguments: object) -> int:
        raise error

    monkeypatch.setattr(program, "commands", lambda _: {"": Command("", no_arguments, call)})


def test_an_unexpected_error_is_kept(core: Core, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    end_with(ZeroDivisionError("nobody thought of \x1b[2J this"), monkeypatch)
    done = core("version")
    assert (done.code, done.out) == (1, "")
    assert "ZeroDivisionError: nobody thought of \\x1b[2J this" in done.err
    assert "Traceback" not in done.err
    (kept,) = (tmp_path / "home" / "crashes").iterdir()
    assert str(kept) in done.err
    assert "in call" in kept.read_text(encoding="utf-8")


def test_core_debug_shows_the_traceback(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DEBUG", "1")
    end_with(ConflictError("someone was first", "try again"), monkeypatch)
    done = core("version")
    assert done.code == 5
    assert "Traceback" in done.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (ConflictError("someone was first", "try again"), 5, "someone was first [conflict]\n  hint: try again"),
        (SystemExit(3), 3, ""),
    ],
)
def test_every_end_has_its_code(
    core: Core, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    end_with(error, monkeypatch)
    done = core("version")
    assert done.code == code
    assert said in done.err


def test_a_home_that_cannot_be_written_does_not_lose_the_traceback(
    core: Core, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("CORE_HOME", str(tmp_path / "file" / "home"))
    end_with(ZeroDivisionError("x"), monkeypatch)
    path = core("version").err.split("traceback: ")[1].split("\n")[0]
    assert os.path.isfile(path)
    os.unlink(path)


def test_the_environment_of_the_caller_is_left_alone(core: Core) -> None:
    before = dict(os.environ)
    assert json.loads(core("config", "show", "-o", "json", "--set", "cache=off").out)
    assert dict(os.environ) == before


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `command` in bash with `core` standing for the real program."""
    core = f"core() {{ '{sys.executable}' -m core \"$@\"; }}; "
    return subprocess.run(
        ["bash", "-c", core + command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.usefixtures("project")
def test_a_closed_pipe_is_quiet() -> None:
    done = shell("core completion bash | head -n 1; exit ${PIPESTATUS[0]}")
    assert done.returncode in {0, 141}  # 0 when everything fitted into the pipe
    assert done.stderr == ""
    done = shell("core --help | true; exit ${PIPESTATUS[0]}")
    assert done.returncode in {0, 141}
    assert done.stderr == ""


@pytest.mark.usefixtures("project")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_no_success() -> None:
    done = shell("core config show > /dev/full")
    assert done.returncode == 7
    assert "the disk is full" in done.stderr


@pytest.mark.usefixtures("project")
def test_a_real_process_in_a_poor_locale(tmp_path: Path) -> None:
    home = tmp_path / "hömé"
    done = shell("core config show", CORE_HOME=str(home), LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "default" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.usefixtures("project")
def test_a_noun_imports_only_its_own_module() -> None:
    code = (
        "import sys; from core.cli import main; main(['config', 'show']); "
        "print(sorted(m for m in sys.modules if m.startswith('core.cli.')), file=sys.stderr); "
        "print(sorted({'typer', 'rich', 'yaml', 'pydantic', 'pluggy', 'sqlite3', 'json'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules, heavy = done.stderr.splitlines()
    assert modules == str([f"core.cli.{name}" for name in ("command", "config", "output", "program")])
    assert heavy == "[]"


@pytest.mark.usefixtures("project")
def test_listing_runs_imports_no_heavy_library() -> None:
    code = (
        "import sys; from core.cli import main; main(['runs', 'list']); "
        "print({'typer', 'click', 'rich', 'yaml', 'pydantic', 'pluggy', 'fsspec', 'asyncio', 'logging', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
