"""Component nouns and `core stack`: registered, shown, changed, refused."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Done

    Core = Callable[..., Done]


def data(done: Done) -> object:
    """What a command printed as JSON."""
    assert done.code == 0, done
    return json.loads(done.out)


def test_a_run_uses_the_active_stack(core: Core, project: Path) -> None:
    assert core("artifact-store", "register", "mine", "--flavor", "local", "--path", "blobs").code == 0
    assert core("stack", "register", "near", "-o", "default", "-a", "mine").code == 0
    assert core("stack", "set", "near").code == 0
    assert core("stack", "get").out == "near\n"
    done = core("run", "train.py", "-o", "json", "--set", "inline_limit=0")
    run = data(done)
    assert run["stack"] == "near"  # type: ignore[index]
    assert any((project / "blobs").rglob("*"))
    assert data(core("runs", "list", "-o", "json"))[0]["stack"] == "near"  # type: ignore[index]


def test_settings_go_before_the_active_stack(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    core("stack", "register", "one")
    core("stack", "register", "two")
    core("stack", "set", "one")
    monkeypatch.setenv("CORE_STACK", "two")
    assert core("stack", "get").out == "two\n"
    assert "goes before" in core("stack", "set", "one").err
    assert core("stack", "get", "--set", "stack=default").out == "default\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("artifact-store register x -f local --pth=y", 6, "no setting 'pth'; did you mean 'path'?"),
        ("artifact-store register x -f local --path=y --durability=pwer", 6, "expected 'process' or 'power'"),
        ("artifact-store register x -f locl --path=y", 3, "did you mean 'local'"),
        ("orchestrator register x -f vm_gcp", 3, "comes with the integration"),
        ("artifact-store register default -f local --path=y", 5, "built in"),
        ("artifact-store register ../x -f local --path=y", 2, "artifact store: the name '../x'"),
        ("artifact-store register x", 2, "--flavor"),
        ("artifact-store register x -f local --path=y --path=z", 2, "given twice"),
        ("orchestrator register x -f local --cpus=3", 6, "has no settings"),
        ("artifact-store describe nobody", 3, "no artifact store 'nobody'"),
        ("artifact-store update default --path=y", 5, "built in"),
        ("artifact-store flavor describe", 2, "FLAVOR is missing"),
        ("stack register s -a nobody", 3, "no artifact store 'nobody'"),
        ("stack register default", 5, "built in"),
        ("stack set nobody", 3, "no stack 'nobody'"),
        ("run train.py --stack nobody", 3, "no stack 'nobody'"),
    ],
)
def test_what_is_wrong_is_said(core: Core, words: str, code: int, said: str) -> None:
    done = core(*words.split())
    assert done.code == code, done
    assert said in done.err
    assert "Traceback" not in done.err


def test_what_a_stack_has_is_kept_and_carried_along(core: Core) -> None:
    core("artifact-store", "register", "a", "-f", "local", "--path=x")
    core("stack", "register", "s", "-a", "a")
    refused = core("artifact-store", "delete", "a")
    assert (refused.code, "stack 's'" in refused.err) == (5, True)
    assert "carried along: s" in core("artifact-store", "rename", "a", "b").err
    assert data(core("stack", "describe", "s", "-o", "json"))["components"]["artifact_store"]["name"] == "b"  # type: ignore[index]
    assert core("artifact-store", "register", "b", "-f", "local", "--path=x").code == 5
    assert core("artifact-store", "copy", "b", "c").code == 0
    assert core("artifact-store", "delete", "c").code == 0
    names = [row["name"] for row in data(core("artifact-store", "list", "-o", "json"))]  # type: ignore[attr-defined]
    assert names == ["default", "b"]


def test_settings_are_updated_and_unset(core: Core) -> None:
    core("artifact-store", "register", "a", "-f", "local", "--path=/x", "--durability=power")
    assert core("artifact-store", "update", "a", "--path=/y", "--unset", "durability").code == 0
    assert data(core("artifact-store", "describe", "a", "-o", "json"))["settings"] == {"path": "/y"}  # type: ignore[index]
    assert core("artifact-store", "update", "a", "--unset", "durability").code == 2
    assert core("artifact-store", "update", "a").code == 2


def test_flavors_tell_their_settings(core: Core) -> None:
    names = [row["name"] for row in data(core("artifact-store", "flavor", "list", "-o", "json"))]  # type: ignore[attr-defined]
    assert {"local", "fsspec"} <= set(names)
    told = data(core("artifact-store", "flavor", "describe", "local", "-o", "json"))
    assert told["settings"][0]["name"] == "path"  # type: ignore[index]
    assert "durability" in [row["name"] for row in told["settings"]]  # type: ignore[index]


@pytest.mark.usefixtures("project")
def test_catalog_listings_import_nothing_heavy() -> None:
    code = (
        "import sys; from core.cli import main; main(['stack', 'list']); main(['artifact-store', 'list']); "
        "print(sorted({'typer', 'rich', 'yaml', 'pydantic', 'fsspec', 'pluggy', 'boto3'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
