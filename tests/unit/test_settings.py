"""Settings: where they come from, which goes first, and what a wrong one is told."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.errors import ConfigurationError
from core.settings import Settings, config_file, foreign_folder, origins, resolve

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
