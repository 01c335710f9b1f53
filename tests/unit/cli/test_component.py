"""Component nouns and `core stack`: registered, shown, changed, refused."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from core.builtin.sqlite.catalog import SqliteCatalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Done

    from core.ports.catalog import Entry

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
        ("artifact-store register ../x -f local --path=y", 2, "'../x' can't be the name of an artifact store"),
        ("artifact-store register x", 2, "--flavor"),
        ("artifact-store register x -f local --path=y --path=z", 2, "given twice"),
        ("orchestrator register x -f local --cpus=3", 6, "has no settings"),
        ("artifact-store register x -f local --path", 2, "--path has no value"),
        ("artifact-store copy default x", 5, "register x --flavor local --path=FOLDER"),
        (
            "container-registry register x -f default --uri=https://me:hunter2secret@h",
            6,
            "'uri' is 'https://me:***@h': expected HOST,",
        ),
        (
            "container-registry register x -f default --uri=h --username=me",
            6,
            "(flavor 'default'): expected both username",
        ),
        ("service-connector describe nobody", 3, "there is no service connector 'nobody'"),
        ("stack export default", 5, "the same everywhere"),
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


HEAVY = {"typer", "rich", "yaml", "pydantic", "fsspec", "boto3", "botocore", "s3fs", "docker", "asyncio"}


@pytest.mark.usefixtures("project")
def test_catalog_listings_import_nothing_heavy() -> None:
    """Also where all that they list belongs to a cloud."""
    words = (
        "stack list;stack describe far;artifact-store list;artifact-store describe far;service-connector list;"
        "service-connector describe far;service-connector list-types;secret list;artifact-store flavor list"
    )
    code = f"""
import sys
from core.cli import main
from core.ports.catalog import Entry
from core.workspace import Workspace
with Workspace() as workspace:
    put = workspace.catalog.put
    put(Entry("artifact_store", "far", 0, {{"flavor": "s3", "settings": {{"path": "s3://b"}}, "connector": "far"}}))
    put(Entry("stack", "far", 0, {{"components": {{"artifact_store": "far"}}}}))
    put(Entry("service_connector", "far", 0, {{"type": "aws", "method": "secret-key", "settings": {{}}, "secrets": {{}}}}))
for words in {words!r}.split(";"):
    assert main(words.split()) == 0, words
    assert not {HEAVY!r} & set(sys.modules), words
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["d\u0435fault", "\uff41", "a b", "default ", "a[0]", "", "x" * 101, "a\nb", "\x1b[31m", ".a"]
)
def test_names_that_look_like_others_are_refused(core: Core, name: str) -> None:
    for words in (
        ("artifact-store", "register", name, "-f", "local", "--path=x"),
        ("stack", "register", name),
        ("service-connector", "register", name, "--type", "docker", "--username=u", "--password=p", "--no-verify"),
        ("secret", "create", name, "--key=v"),
    ):
        done = core(*words)
        assert done.code == 2, done
        assert done.err.replace("\n", "").isascii()
        assert "\x1b" not in done.err
    assert len(data(core("stack", "list", "-o", "json"))) == 1  # type: ignore[arg-type]


def test_a_rename_that_was_interrupted_is_ended_and_no_other_is_merged(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        core("artifact-store", "register", name, "-f", "local", "--path=x")
    core("stack", "register", "s", "-a", "a")
    assert core("artifact-store", "rename", "a", "b").code == 5
    assert core("artifact-store", "rename", "a", "a").code == 5
    with monkeypatch.context() as patch:
        patch.setattr(SqliteCatalog, "delete", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        assert core("artifact-store", "rename", "a", "c").code == 130
    assert core("artifact-store", "rename", "b", "c").code == 5
    assert core("artifact-store", "rename", "a", "c").code == 0
    assert [row["name"] for row in data(core("artifact-store", "list", "-o", "json"))] == ["default", "b", "c"]  # type: ignore[attr-defined]
    assert data(core("stack", "describe", "s", "-o", "json"))["components"]["artifact_store"]["name"] == "c"  # type: ignore[index]


def test_a_damaged_entry_is_named_and_can_be_deleted(core: Core, project: Path) -> None:
    core("artifact-store", "register", "a", "-f", "local", "--path=x")
    core("stack", "register", "s")
    with closing(sqlite3.connect(project.parent / "home" / "core.db")) as database:
        database.execute("""UPDATE catalog SET data = '{"components": 3}' WHERE kind IN ('stack', 'artifact_store')""")
        database.commit()
    for noun, name in (("stack", "s"), ("artifact-store", "a")):
        done = core(noun, "list")
        assert (done.code, f"core {noun} delete {name}" in done.err) == (6, True), done
        assert core(noun, "delete", name).code == 0
    assert core("stack", "list").code == 0


def test_of_two_who_change_one_entry_the_second_hears_of_it(core: Core) -> None:
    core("artifact-store", "register", "a", "-f", "local", "--path=x")
    core("stack", "register", "s")
    read = SqliteCatalog.list

    def overtaken(catalog: SqliteCatalog, kind: str, project: str = "default") -> list[Entry]:
        found = read(catalog, kind, project)
        for entry in found:
            if entry.name in {"a", "s"}:
                catalog.put(entry._replace(actor="somebody else"))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteCatalog, "list", overtaken)
        for words in (
            ("artifact-store", "update", "a", "--path=y"),
            ("artifact-store", "rename", "a", "b"),
            ("artifact-store", "delete", "a"),
            ("stack", "update", "s", "-a", "default"),
            ("stack", "delete", "s"),
        ):
            done = core(*words)
            assert (done.code, "someone else changed it" in done.err) == (5, True), done
    assert core("artifact-store", "rename", "a", "b").code == 0


def test_secrets_among_plain_settings_are_told(core: Core, project: Path) -> None:
    url = "ftp://me:hunter2secret@localhost/x"
    done = core("artifact-store", "register", "x", "-f", "fsspec", f"--path={url}", "--no-verify")
    assert (done.code, "hunter2secret" in done.err, "storage_options" in done.err) == (6, False, True), done
    options = '--storage_options={"token": "hunter2secret"}'
    done = core("artifact-store", "register", "x", "-f", "fsspec", "--path=memory://x", options)
    assert (done.code, "'storage_options'" in done.err, "kept in the clear" in done.err) == (0, True, True)
    core("stack", "register", "s", "-a", "x")
    told = core("artifact-store", "list", "-o", "yaml").out + core("stack", "export", "s", "x.yaml").err
    assert "hunter2secret" not in told + (project / "x.yaml").read_text()
