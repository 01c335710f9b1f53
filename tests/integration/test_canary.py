"""A secret is nowhere in the clear: neither in the home, whatever happens to it, nor in what any command prints."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., subprocess.CompletedProcess[str]]

CANARIES = ("canary-secret-4fd1", "canary-typed-81ac", "canary-connector-77be", "memory-token-")
FLOW = """
import os, sys
from core import Client, log_metadata, pipeline, step

@step(cache=False, environment={"URL": "pg://me:{{db.password}}@host", "WORD": "{{db.typed}}"})
def leak(fail: bool) -> str:
    word = os.environ["WORD"]
    assert len(word) == 17, "it is there"
    url = os.environ["URL"]
    token = Client().credentials("cloud", "memory-bucket", "mem://one")().values["password"]
    print("printed", url, word, token)
    sys.stdout.write(word[:9]); sys.stdout.flush(); sys.stdout.write(word[9:] + "\\n")
    print("error", url, word, token, file=sys.stderr)
    log_metadata(url=url, word=word, token=token)
    if fail:
        raise ValueError(f"no use: {url} {word} {token}")
    return "done"

@pipeline
def flow(fail: bool = False):
    leak(fail)
"""


@pytest.fixture
def home(core_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a secret, a connector that is right, and one that is not; the working folder with the pipeline."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CORE_PLUGINS", "core.testing.service_connector")
    monkeypatch.setattr("core.testing.service_connector.CLOUD.password", CANARIES[2])
    (folder / "flow.py").write_text(FLOW)
    (folder / "password").write_text(CANARIES[0] + "\n")
    (folder / "connector").write_text(CANARIES[2] + "\n")
    words = ["service-connector", "register"]
    for command in (
        ["secret", "create", "db", "--password=@password", f"--typed={CANARIES[1]}"],
        [*words, "cloud", "--type", "memory", "--auth-method", "role", "--role=reader"],
        [*words, "closed", "--type", "memory", "--password=@connector"],
        [*words, "referring", "--type", "memory", "--password={{db.password}}", "--no-verify"],
    ):
        assert main(command) == 0
    return core_home


def clean(*texts: bytes | str) -> None:
    for text in texts:
        for canary in CANARIES:
            data = text.encode() if isinstance(text, str) else text
            assert canary.encode() not in data, f"{canary} in {data[:2000]!r}"


def files(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_a_step_does_with_a_secret(home: Path, workers: str) -> None:
    for fail in ("false", "true"):
        command = [sys.executable, "-m", "core", "run", "flow.py:flow", "-p", f"fail={fail}"]
        environment = {**os.environ, "CORE_WORKERS": workers, "CORE_DEBUG": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == (fail == "true"), done.stderr
        assert "printed pg://me:***@host *** ***" in done.stdout
        clean(done.stdout, done.stderr)
    kept = files(home)
    assert any(b"printed pg://me:***@host *** ***" in data for data in kept.values())
    clean(*kept.values())
    assert any(b"{{db.password}}" in data for data in kept.values()), "the graph has the reference"


def test_what_others_who_share_a_store_get(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, team = tmp_path / "store", ["-o", "default", "-a", "team"]
    register = (
        ["artifact-store", "register", "team", "-f", "local", f"--path={store}", "--shared=true"],
        ["stack", "register", "team", *team],
    )
    monkeypatch.setenv("CORE_STACK", "team")
    monkeypatch.setenv("CORE_DEBUG", "1")
    for command in register:
        assert main(command) == 0
    for fail in ("false", "true"):
        command = [sys.executable, "-m", "core", "run", "flow.py:flow", "-p", f"fail={fail}"]
        assert subprocess.run(command, check=False).returncode == (fail == "true")
    monkeypatch.setenv("CORE_HOME", str(tmp_path / "other"))
    for command in (*register, ["runs", "sync"], ["runs", "list", "-o", "json"], ["runs", "logs", "latest"]):
        assert main(command) == 0
    assert main(["runs", "show", "latest", "-o", "json"]) == 0
    out, err = capfd.readouterr()
    assert out.count("printed pg://me:***@host *** ***") == 3  # by each run, and in the log of one elsewhere
    assert "no use: pg://me:***@host *** ***" in out
    clean(out, err, *files(store).values(), *files(tmp_path / "other").values(), *files(home).values())
    assert {path.relative_to(store).parts[0] for path in files(store)} >= {"runs", "logs"}


LISTINGS = (
    ["secret", "list"],
    ["secret", "show", "db"],
    ["service-connector", "list"],
    ["service-connector", "describe", "closed"],
    ["service-connector", "list-resources"],
    ["config", "show"],
)


def test_what_commands_print(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_DEBUG", "1")
    capsys.readouterr()
    for words in LISTINGS:
        for form in ("table", "json", "yaml"):
            assert main([*words, "-o", form]) == 0
    monkeypatch.setattr("core.testing.service_connector.CLOUD.password", "another")
    assert main(["service-connector", "verify", "closed"]) == 4
    out, err = capsys.readouterr()
    assert "***" in out
    assert "refuses the password" in err
    clean(out, err, *files(home).values())


def test_what_a_crash_leaves(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        from core.workspace import Workspace

        with Workspace() as workspace:
            raise ZeroDivisionError(f"{workspace.secrets.get('db')} {workspace.connectors.build('closed').settings}")

    words = ["secret", "update", "db", f"--typed={CANARIES[1]}", "--pin=1234"]
    monkeypatch.setattr("core.secrets.Secrets.update", crash)
    monkeypatch.setattr(sys, "argv", ["core", *words])
    for debug in ("", "1"):
        monkeypatch.setenv("CORE_DEBUG", debug)
        assert main(words) == 1
    out, err = capsys.readouterr()
    crashes = {path: data for path, data in files(home).items() if path.parent.name == "crashes"}
    assert len(crashes) == 2
    assert all(b"ZeroDivisionError" in data and b"***" in data and b"1234" not in data for data in crashes.values())
    clean(out, err, *files(home).values())
