"""A fresh environment gets core and its plugins from a folder of wheels, and every pin in it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from core.builtin.integrations import TABLE
from core.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Place

    Core = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def fresh(tmp_path: Path, shelf: Path, engine: Callable[[str], str], request: pytest.FixtureRequest) -> Path:
    """A new environment with `core` from the shelf; with `core[aws]` where the test asks for it."""
    engine("uv")
    folder, wanted = tmp_path / "venv", getattr(request, "param", "core")
    uv("venv", "-q", "--python", sys.executable, str(folder))
    uv("pip", "install", "-q", "--python", str(folder), "--no-index", "--find-links", str(shelf), wanted)
    return folder


def uv(*words: str) -> str:
    done = subprocess.run(["uv", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def core(fresh: Path, tmp_path: Path) -> Core:
    """Calls the `core` of the fresh environment."""

    def call(*words: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables}
        done = subprocess.run(
            [str(fresh / "bin/core"), *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.mark.parametrize("fresh", ["core[aws]"], indirect=True)
def test_core_with_aws_installs_from_a_folder_and_every_pin_holds(fresh: Path, core: Core) -> None:
    rows = json.loads(core("integration", "check", "-o", "json").stdout)
    assert {"package", "version", "wants", "found", "ok"} <= set(rows[0])
    assert {"core", "core-plugin-aws", "s3fs", "aiobotocore", "botocore"} <= {row["package"] for row in rows}
    assert all(row["ok"] for row in rows)
    assert "compatible" in uv("pip", "check", "--python", str(fresh))
    (aws,) = (row for row in json.loads(core("integration", "list", "-o", "json").stdout) if row["name"] == "aws")
    assert (aws["state"], aws["installed"], aws["connectors"]) == ("installed", VERSION, ["aws"])


def test_a_decoy_of_a_higher_version_is_not_taken(tmp_path: Path, shelf: Path, place: Place) -> None:
    decoys = place._replace(wheels=tmp_path / "decoys")
    for name in ("core-plugin-aws", "core-aws", "core-cli"):
        decoys.wheel(name, "9.9")
    links = ("--find-links", str(shelf), "--find-links", str(decoys.wheels))
    uv(
        "pip",
        "install",
        "-q",
        "--python",
        place.environment.python,
        "--no-index",
        "--reinstall",
        *links,
        f"core[aws]=={VERSION}",
    )
    assert place.has()["core-plugin-aws"] == VERSION
    assert not {"core-aws", "core-cli"} & place.has().keys()


def test_the_commands_of_the_guide(core: Core, shelf: Path) -> None:
    refused = core("integration", "install", "aws", code=2)
    assert "`core integration install aws -y`" in refused.stderr
    told = core("integration", "install", "aws", "skypilot_aws", "-y", code=3).stderr
    assert "'skypilot_aws' is not built yet" in told
    assert "there are aws, s3" in told
    lost = core("integration", "install", "aws", "-y", code=3, PIP_CONFIG_FILE=os.devnull).stderr
    assert "the public index is not asked for it" in lost
    done = core("integration", "install", "aws", "-y", "--find-links", str(shelf), "--no-index")
    assert "core-plugin-aws" in done.stdout
    assert "service connector aws" in done.stderr
    assert "hold" in core("integration", "check").stderr
    assert core("integration", "requirements", "s3", "AWS").stdout == f"core-plugin-aws=={VERSION}\n"
    gone = core("integration", "uninstall", "aws", "-y").stderr
    assert "they stay: " in gone
    assert "botocore" in gone
    assert "rich" not in gone


def test_what_does_not_agree_is_told_line_by_line(fresh: Path, core: Core) -> None:
    uv("pip", "uninstall", "-q", "--python", str(fresh), "rich", "grandalf")
    done = core("integration", "check", code=6)
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["core", "core"]
    assert "grandalf>=0.8" in done.stdout
    assert "2 of " in done.stderr
    assert "there is no grandalf" in core("doctor", code=6).stdout


def test_a_killed_install_is_told_by_every_command_and_repaired_by_one(fresh: Path, core: Core, shelf: Path) -> None:
    before = uv("pip", "freeze", "--python", str(fresh))
    how = ("integration", "install", "aws", "-y", "--find-links", str(shelf), "--no-index")
    core(*how, code=-9, CORE_FAILPOINTS="integration.changed=kill")
    assert "core-plugin-aws" in uv("pip", "freeze", "--python", str(fresh))
    repair = "`core integration repair` puts back what was there before"
    assert repair in core("integration", "list").stderr
    assert repair in core("doctor", code=6).stdout
    assert repair in core(*how, code=5).stderr
    assert "all is as it was before `core integration install aws`" in core("integration", "repair").stderr
    assert uv("pip", "freeze", "--python", str(fresh)) == before


def test_versions_and_pins_agree() -> None:
    from pathlib import Path

    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    plugins = {}
    for file in root.glob("plugins/*/pyproject.toml"):
        plugin = tomllib.loads(file.read_text())["project"]
        plugins[plugin["name"]] = plugin["version"]
        assert f"core=={VERSION}" in plugin["dependencies"], file
        siblings = [text for text in plugin["dependencies"] if text.startswith("core-plugin")]
        assert all(f"=={VERSION}" in text for text in siblings), file
    assert set(plugins.values()) == {VERSION}
    pins = {pin for each in TABLE for pin in each.requirements} | {
        pin for extra in project["optional-dependencies"].values() for pin in extra
    }
    assert pins <= {f"{name}=={version}" for name, version in plugins.items()}
    assert all(name.startswith("core-plugin-") for name in plugins)
