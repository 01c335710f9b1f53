"""Settings: where they come from, which goes first, and what a wrong one is told."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.errors import ConfigurationError
from core.settings import Settings, config_file, foreign_folder, origins, resolve, workers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, deep in which the test stands, on a machine where nothing is set."""
    for name in list(os.environ):
        if name.startswith("CORE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "project" / "deep" / "deeper"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return tmp_path / "project"


def pyproject(project: Path, text: str) -> None:
    """Write the project's pyproject.toml."""
    (project / "pyproject.toml").write_text(text, encoding="utf-8")


def test_nothing_set_gives_the_defaults_and_the_data_folder(tmp_path: Path) -> None:
    assert resolve() == Settings(home=str(tmp_path / "data" / "core"))


def test_the_project_folder_is_found_from_below(project: Path) -> None:
    (project / ".core").mkdir()
    assert resolve().home == str(project / ".core")
    assert ("home", str(project / ".core"), "project folder") in origins()


def test_the_stronger_source_wins(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = config_file()
    os.makedirs(os.path.dirname(user))
    with open(user, "w", encoding="utf-8") as file:
        file.write('inline_limit = 1\nstack = "user"\nproject = "user"\n')
    pyproject(project, '[tool.core]\ninline_limit = 2\nstack = "pyproject"\n')
    monkeypatch.setenv("CORE_INLINE_LIMIT", "3")
    found = {name: (value, where) for name, value, where in origins({"display": "plain"})}
    assert found["inline_limit"] == (3, "CORE_INLINE_LIMIT")
    assert found["stack"] == ("pyproject", "pyproject.toml:3")
    assert found["project"] == ("user", "config.toml:3")
    assert found["display"] == ("plain", "command line")
    assert resolve({"inline_limit": "4"}).inline_limit == 4


def test_values_of_each_kind(project: Path) -> None:
    pyproject(
        project,
        '[tool.other]\nx = 1\n[tool.core]  # ours\ncache = false\ninline-limit = "64KiB"\nhome = "state"\n'
        'plugins = ["mine.py", "their_module"]\n',
    )
    settings = resolve()
    assert settings.cache is False
    assert settings.inline_limit == 65536
    assert settings.home == str(project / "state")
    assert settings.plugins == (str(project / "mine.py"), "their_module")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[tool.core]\n\ninline_limt = 3\n", ["'inline_limt'", "pyproject.toml:3", "did you mean 'inline_limit'"]),
        ("[tool.core]\ninline_limit = true\n", ["'inline_limit'", "pyproject.toml:2", "whole number"]),
        ("[tool.core]\ninline_limit = -1\n", ["pyproject.toml:2"]),
        ("[tool.core]\ncache = 'maybe'\n", ["pyproject.toml:2", "true or false"]),
        ("[tool.core]\ndisplay = 'ritch'\n", ["pyproject.toml:2", "did you mean 'rich'"]),
        ("[tool.core]\nplugins = [1]\n", ["pyproject.toml:2", "list of texts"]),
        (
            "[tool.core]\nheartbeat = 0\n",
            ["'heartbeat' is 0 ", "pyproject.toml:2", "seconds, such as 10 or 30s, from 0.05 to 600"],
        ),
        ("[tool.core]\nheartbeat = nan\n", ["'heartbeat' is nan"]),
        ("[tool.core]\ngrace = true\n", ["'grace' is True"]),
        ("[tool.core]\ngrace = -1\n", ["'grace' is -1"]),
        ("[tool.core]\nworkers = 2.5\n", ["'workers' is 2.5", "from 0 to 1000, or 'auto'"]),
        ("[tool.core]\nworkers = 1001\n", ["'workers' is 1001"]),
        ("[tool]\ncore = 3\n", ["expected a table"]),
        ("[tool.core\n", ["not valid TOML", "line 1"]),
    ],
)
def test_a_wrong_line_is_named(project: Path, text: str, parts: list[str]) -> None:
    pyproject(project, text)
    with pytest.raises(ConfigurationError) as caught:
        resolve()
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "3 apples", "²"])
def test_a_wrong_number_in_the_environment(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_INLINE_LIMIT", text)
    with pytest.raises(ConfigurationError, match="CORE_INLINE_LIMIT"):
        resolve()


def test_a_wrong_time_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_HEARTBEAT", "abc")
    with pytest.raises(
        ConfigurationError, match="setting 'heartbeat' is 'abc' in CORE_HEARTBEAT; expected seconds, such as 10"
    ):
        resolve()


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e3", "3 days", "1.2.3", "9" * 5000, "86401", "s", ""])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ConfigurationError, match="command line; expected seconds"):
        resolve({"grace": text})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10.0),
        ("0", 0.0),
        (".5", 0.5),
        ("30s", 30.0),
        ("2m", 120.0),
        ("1.5 min", 90.0),
        ("1h", 3600.0),
        ("250ms", 0.25),
    ],
)
def test_times_may_be_written_with_a_unit(project: Path, text: str, seconds: float) -> None:
    assert resolve({"grace": text}).grace == seconds
    pyproject(project, f"[tool.core]\ngrace = '{text}'\n")
    assert resolve().grace == seconds


def test_numbers_of_a_file(project: Path) -> None:
    pyproject(project, "[tool.core]\nheartbeat = 3\ngrace = 0.5\nworkers = 'auto'\nlog-limit = '1MiB'\n")
    settings = resolve()
    assert (settings.heartbeat, settings.grace, settings.workers, settings.log_limit) == (3.0, 0.5, 0, 1 << 20)
    assert type(settings.heartbeat) is float


@pytest.mark.parametrize(("text", "number"), [("auto", 0), (" AUTO ", 0), ("0", 0), ("4", 4)])
def test_workers(text: str, number: int) -> None:
    assert workers(text) == number


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "4k", "1001", ""])
def test_what_is_no_number_of_workers(text: str) -> None:
    with pytest.raises(ConfigurationError, match="whole number from 0 to 1000, or 'auto'"):
        workers(text)


def test_an_unknown_override_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'inline_limit'"):
        resolve({"inline_limt": "1"})


def test_a_pyproject_that_is_not_utf_8(project: Path) -> None:
    (project / "pyproject.toml").write_bytes(b"[tool.core]\nstack = '\xff'\n")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        resolve()


def test_a_folder_planted_by_another_user_is_passed_over(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".core").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: os.stat(project).st_uid + 1)
    if os.stat(project).st_uid == 0:
        os.chown(project / ".core", 12345, 12345)
    assert resolve().home != str(project / ".core")
    assert foreign_folder() == str(project / ".core")


def test_resolving_imports_no_toml_reader_for_a_foreign_pyproject(project: Path) -> None:
    pyproject(project, "[project]\nname = 'x'\n")
    code = "import sys; from core.settings import resolve; resolve(); print({'tomllib', 'pathlib', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
