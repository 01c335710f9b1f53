"""The example plugin, installed into an environment of its own, passes its own tests there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import core

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


def run(*command: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CORE_", "PYTHON"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fresh_environment(folder: Path) -> str:
    """A virtual environment that sees this one's packages by a `.pth` file, so that nothing is downloaded."""
    run(sys.executable, "-m", "venv", "--without-pip", str(folder), folder=folder.parent)
    scripts = "Scripts" if os.name == "nt" else "bin"
    python = str(folder / scripts / "python")
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).strip()
    seen = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(Path(core.__file__).parents[1])]
    Path(site, "outer.pth").write_text("\n".join(dict.fromkeys(seen)) + "\n")
    return python


def test_the_example_plugin_installs_and_passes_its_tests(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="builds the plugin; the test group of pyproject.toml has it")
    pytest.importorskip("pip", reason="installs the plugin")
    copy = tmp_path / "plugin"
    shutil.copytree(EXAMPLE, copy)
    python = fresh_environment(tmp_path / "venv")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run(python, "-m", "pip", "install", *options, str(copy), folder=tmp_path)
    module = run(python, "-c", "import core_plugin_array as m; print(m.__file__)", folder=tmp_path)
    assert str(tmp_path / "venv") in module
    told = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(copy / "tests"), folder=tmp_path)
    assert " passed" in told
