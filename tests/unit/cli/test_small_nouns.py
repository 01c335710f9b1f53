"""`init`, `config`, `stack`, `doctor` and `completion`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.cli import doctor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.cli.conftest import Done

    Core = Callable[..., Done]

ROOT = Path(__file__).parents[3]


def test_init_makes_the_folder_once(core: Core, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORE_HOME")
    done = core("init")
    assert (done.code, done.out) == (0, "")
    assert str(project / ".core") in done.err
    assert "*" in (project / ".core" / ".gitignore").read_text(encoding="utf-8")
    assert "nothing changed" in core("init").err
    row = next(row for row in json.loads(core("config", "show", "--origin", "-o", "json").out) if row["name"] == "home")
    assert row == {"name": "home", "value": str(project / ".core"), "origin": "project folder"}


def test_init_tells_what_goes_before_it(core: Core) -> None:
    assert "CORE_HOME=" in core("init").err


def test_init_where_nobody_may_write(core: Core, project: Path) -> None:
    (project / "file").write_text("", encoding="utf-8")
    done = core("init", "file")
    assert done.code == 6
    assert "cannot be made" in done.err


def test_config_show_as_a_table(core: Core, project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.core]\ncache = false\n", encoding="utf-8")
    out = core("config", "show", "--origin", "--set", "stack=mine").out
    assert "cache         false" in out
    assert "pyproject.toml:2" in out
    assert "command line" in out


def test_stack_list(core: Core) -> None:
    (row,) = json.loads(core("stack", "list", "-o", "json").out)
    assert row == {
        "name": "default",
        "active": True,
        "components": {"orchestrator": "default", "artifact_store": "default"},
        "origin": "built in",
    }


def checks(core: Core, code: int) -> dict[str, dict[str, str]]:
    """The doctor's findings by check; of several with one name the last."""
    done = core("doctor", "-o", "json")
    assert done.code == code, done
    return {row["check"]: row for row in json.loads(done.out)}


def test_the_doctor_finds_nothing_wrong(core: Core) -> None:
    found = checks(core, 0)
    assert {"python", "core", "import", "settings", "home", "disk", "sqlite", "database", "pending", "plugin"} <= set(
        found
    )
    assert all(row["state"] != "problem" for row in found.values())


def test_the_doctor_sees_a_folder_that_hides_core(core: Core, project: Path) -> None:
    (project / "core").mkdir()
    assert checks(core, 0)["import"]["state"] == "warning"
    (project / "core" / "__init__.py").write_text("", encoding="utf-8")
    assert checks(core, 6)["import"]["state"] == "problem"


def test_the_doctor_survives_broken_settings(core: Core, project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.core]\ncash = false\n", encoding="utf-8")
    assert "did you mean 'cache'" in checks(core, 6)["settings"]["detail"]


def test_the_doctor_names_a_slip_in_the_environment(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_PROJCT", "x")
    monkeypatch.setenv("CORE_DUMP_FOLDER_OF_ANOTHER_PROGRAM", "x")
    found = [row for row in doctor.findings() if row.check == "environment"]
    assert [row.detail for row in found] == ["CORE_PROJCT is no setting; did you mean 'PROJECT'?"]


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 50])
def test_the_doctor_looks_at_the_database(core: Core, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "core.db").write_bytes(content)
    state = "problem" if content else "ok"
    assert checks(core, 6 if content else 0)["database"]["state"] == state


def test_the_doctor_names_a_broken_plugin(core: Core, project: Path) -> None:
    (project / "bad.py").write_text("raise RuntimeError('no good')\n", encoding="utf-8")
    (project / "pyproject.toml").write_text("[tool.core]\nplugins = ['bad.py']\n", encoding="utf-8")
    assert "no good" in checks(core, 6)["plugin"]["detail"]


def test_the_doctor_tells_of_events_that_wait(core: Core, tmp_path: Path) -> None:
    (tmp_path / "home" / "pending").mkdir(parents=True)
    (tmp_path / "home" / "pending" / "x.json").write_text("{}", encoding="utf-8")
    assert checks(core, 0)["pending"]["state"] == "warning"


def complete(script: Path, *words: str) -> set[str]:
    """What a real bash offers after `words`."""
    code = f'source "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _core; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code, "bash", *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes(core: Core, tmp_path: Path) -> None:
    script = tmp_path / "core.bash"
    script.write_text(core("completion", "bash").out, encoding="utf-8")
    assert complete(script, "core", "ru") == {"run", "runs"}
    assert complete(script, "core", "runs", "l") == {"list", "logs"}
    assert complete(script, "core", "runs", "list", "--p") == {"--pipeline"}
    assert complete(script, "core", "runs", "list", "-o", "") == {"table", "json", "yaml"}
    assert complete(script, "core", "runs", "list", "--state", "l") == {"lost"}
    assert complete(script, "core", "run", "--no") == {"--no-cache"}
    assert complete(script, "core", "completion", "z") == {"zsh"}
    assert complete(script, "core", "run", "tr") == set()  # left to the shell: files


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_get_every_noun(core: Core, shell: str) -> None:
    out = core("completion", shell).out
    assert "doctor" in out
    assert "--state" in out or "-l state" in out


def test_the_reference_is_up_to_date() -> None:
    code = "import runpy; page = runpy.run_path('docs/cli.py'); assert page['reference']() == page['FILE'].read_text(encoding='utf-8')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, "run `python docs/cli.py`: " + done.stderr
