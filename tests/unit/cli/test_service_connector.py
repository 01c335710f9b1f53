"""`core service-connector`, against the connector of `core.testing`: every verb, and what each refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from core.errors import ConflictError
from core.ports.catalog import Entry
from core.testing import service_connector
from core.testing.service_connector import Cloud
from core.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REGISTER = ("service-connector", "register")
RIGHT = ("--type", "memory", "--password=@pw")


@pytest.fixture
def call(core: Callable, project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """`core service-connector ...` with the type `memory`, and a file `pw` with the right password."""
    monkeypatch.setenv("CORE_PLUGINS", "core.testing.service_connector")
    monkeypatch.setattr(service_connector, "CLOUD", Cloud())
    (project / "pw").write_text("open sesame\n")
    return lambda *words: core("service-connector", *words)


def rows(call: Callable, *words: str) -> list[dict]:
    return json.loads(call(*words, "-o", "json").out)


def test_register_tries_the_credentials(call: Callable) -> None:
    done = call("register", "cloud", *RIGHT)
    assert (done.code, done.out) == (0, "")
    assert "memory, password, as memory:me" in done.err
    done = call("register", "shut", "--type", "memory", "--password=wrong-one")
    assert done.code == 4
    assert "wrong-one" not in done.err
    done = call("register", "later", "--type", "memory", "--password=wrong-one", "--no-verify")
    assert done.code == 0
    assert "nobody was asked" in done.err
    assert [row["name"] for row in rows(call, "list")] == ["cloud", "later"]
    assert rows(call, "list")[0]["settings"] == {"user": "me", "password": "***"}


def test_register_takes_both_spellings_and_the_machines_own(call: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("register", "a", "--auth_method", "role", "--role=READER", "--type", "memory").code == 0
    assert rows(call, "list")[0]["settings"] == {"role": "reader"}
    done = call("register", "b", "--type", "memory", "--auto-configure")
    assert done.code == 3
    assert "MEMORY_PASSWORD" in done.err
    monkeypatch.setenv("MEMORY_PASSWORD", "open sesame")
    assert call("register", "b", "--type", "memory", "--auto-configure", "--user=you").code == 0
    assert json.loads(call("describe", "b", "-o", "json").out)["settings"]["user"] == "you"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            [
                "--type",
                "gcp",
                "--auth-method",
                "service-account",
                "--service_account_json=@nowhere",
                "--project_id=p",
                "--generate_temporary_tokens=False",
            ],
            3,
            "integration 'gcp'",
        ),
        (
            ["--type", "azure", "--auth-method", "service-principal", "--client_secret=swordfish"],
            3,
            "integration 'azure'",
        ),
        (["--type", "memroy"], 3, "did you mean 'memory'"),
        (["--type", "memory", "--auth-method", "rol"], 3, "did you mean 'role'"),
        (["--type", "memory"], 2, "'password' is missing"),
        (["--type", "memory", "--pasword=swordfish"], 2, "did you mean 'password'"),
        (["--type", "memory", "--role=reader"], 2, "that is of --auth-method role"),
        (["--type", "memory", "--auth-method", "role", "--role=raeder"], 2, "did you mean 'reader'"),
        (["--type", "memory", "--password=@nowhere"], 2, "'nowhere' cannot be read"),
        ([*RIGHT, "--resource-type", "memory-buket"], 3, "did you mean 'memory-bucket'"),
        ([*RIGHT, "--resource-type", "memory-bucket", "--resource-id", "mem://four"], 3, "mem://four"),
        ([*RIGHT, "swordfish"], 2, "stands alone"),
        ([], 2, "--type"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(call: Callable, words: list[str], code: int, said: str) -> None:
    done = call("register", "cloud", *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "hint: " in done.err
    assert "swordfish" not in done.err
    assert rows(call, "list") == []


def test_names(call: Callable) -> None:
    assert call("register", "cloud", *RIGHT).code == 0
    assert call("register", "cloud", *RIGHT).code == 5
    assert call("register", "../cloud", *RIGHT).code == 2
    assert "did you mean 'cloud'" in call("describe", "clod").err
    for verb in ("verify", "delete", "update"):
        assert call(verb, "clod", *(["--user=you"] if verb == "update" else [])).code == 3


def test_types_are_told_without_loading_their_class(call: Callable) -> None:
    assert "memory" in {kind["name"] for kind in rows(call, "list-types")}
    assert "--password: What the cloud's `password` is. (required; secret)" in call("describe-type", "memory").out
    methods = json.loads(call("describe-type", "memory", "-o", "json").out)["methods"]
    assert [method["name"] for method in methods] == ["password", "role"]


def test_list_resources_through_all_pages(call: Callable) -> None:
    service_connector.CLOUD.buckets = [f"mem://{number:03}" for number in range(25)]
    call("register", "cloud", *RIGHT)
    call("register", "shut", "--type", "memory", "--password=wrong-one", "--no-verify")
    found = rows(call, "list-resources", "--resource-type", "memory-bucket", "-e")
    assert [(row["connector"], len(row["resources"])) for row in found] == [("cloud", 25)]
    assert service_connector.CLOUD.calls.count("page") == 13
    found = rows(call, "list-resources", "--resource-type", "memory-bucket")
    assert [row["error"] for row in found] == [None, "the cloud in memory refuses the password"]
    assert "error: the cloud" in call("list-resources").out
    assert call("list-resources", "shut").code == 4
    assert call("list-resources", "shut", "--exclude-errors").code == 0
    assert "did you mean 'memory-bucket'" in call("list-resources", "--resource-type", "memory-buckt").err


def test_a_connector_for_one_resource(call: Callable) -> None:
    limits = ["--resource-type", "memory-bucket", "--resource-id", "mem://one"]
    assert call("register", "one", *RIGHT, *limits).code == 0
    assert rows(call, "list-resources", "one")[0]["resources"] == ["mem://one"]
    done = call("verify", "one", "--resource-id", "mem://two")
    assert done.code == 4
    assert "is for 'mem://one' only" in done.err
    assert call("update", "one", "--resource-id", "").code == 0
    assert call("verify", "one", "--resource-id", "mem://two").code == 0
    assert call("verify", "one", "--resource-type", "memory-generic").code == 4


def test_update(call: Callable) -> None:
    call("register", "cloud", *RIGHT)
    assert call("update", "cloud", "--password=wrong-one").code == 4
    assert call("verify", "cloud").code == 0, "what fails is not kept"
    assert call("update", "cloud", "--user=you", "--life=60").code == 0
    assert "as memory:you" in call("update", "cloud", "--remove", "life").err
    assert call("update", "cloud", "--remove", "life").code == 2
    assert call("update", "cloud").code == 2
    assert call("update", "cloud", "--auth-method", "role", "--role=reader").code == 0
    assert rows(call, "list")[0]["settings"] == {"role": "reader"}, "nothing of the other method stays"


def test_one_that_is_used_is_not_deleted(call: Callable) -> None:
    call("register", "cloud", *RIGHT)
    with Workspace() as workspace:
        data = {"flavor": "s3", "settings": {}, "connector": "cloud", "resource_id": ""}
        workspace.catalog.put(Entry("artifact_store", "bucket", 0, data))
    done = call("delete", "cloud")
    assert done.code == 5
    assert "artifact store 'bucket'" in done.err
    assert json.loads(call("describe", "cloud", "-o", "json").out)["used_by"] == ["artifact store 'bucket'"]
    assert call("delete", "cloud", "--force").code == 0


def test_a_setting_may_refer_to_a_secret(core: Callable, call: Callable) -> None:
    core("secret", "create", "mem", "--password=@pw")
    done = call("register", "cloud", "--type", "memory", "--password={{mem.password}}")
    assert done.code == 0
    assert "warning" not in done.err
    assert rows(call, "list")[0]["settings"]["password"] == "{{mem.password}}"  # noqa: S105 - a reference
    assert core("secret", "delete", "mem").code == 5
    assert call("register", "other", "--type", "memory", "--password={{mem.pasword}}").code == 3


def test_a_plugin_that_raises_is_named(call: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    call("register", "cloud", *RIGHT)
    service_connector.CLOUD.failures = [KeyError("token"), KeyError("token")]
    for words in (["verify", "cloud"], ["list-resources", "cloud", "--resource-type", "memory-bucket"]):
        done = call(*words)
        assert done.code == 6
        assert "'cloud' of type 'memory' raised KeyError: 'token'" in done.err + done.out


def test_a_component_in_the_repository_uses_one_too(core: Callable, call: Callable, project: Path) -> None:
    core("secret", "create", "db", "--password=@pw")
    call("register", "cloud", *RIGHT)
    (project / "core.yaml").write_text(
        "components:\n  artifact_store:\n    bucket:\n      flavor: local\n      connector: cloud\n"
        "      settings:\n        path: /tmp/{{db.password}}\n"
    )
    for words in (("service-connector", "delete", "cloud"), ("secret", "delete", "db")):
        done = core(*words)
        assert done.code == 5
        assert "artifact store 'bucket'" in done.err
        assert "core.yaml:" in done.err


def test_one_whose_type_was_uninstalled(call: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    call("register", "cloud", *RIGHT)
    monkeypatch.setenv("CORE_PLUGINS", "")
    assert "no type 'memory'" in call("list-resources").out
    assert call("list-resources", "-e").code == 0
    assert call("list").out.count("cloud") == 1
    assert call("verify", "cloud").code == 3
    assert call("delete", "cloud").code == 0


def test_two_who_change_one(call: Callable) -> None:
    call("register", "cloud", *RIGHT)
    with Workspace() as workspace:
        mine = workspace.connectors.changed("cloud", given={"user": "mine"})
        workspace.connectors.update(workspace.connectors.changed("cloud", given={"user": "theirs"}))
        with pytest.raises(ConflictError, match="revision"):
            workspace.connectors.update(mine)
    assert rows(call, "list")[0]["settings"]["user"] == "theirs"


def test_the_doctor_opens_every_secret(core: Callable, call: Callable, tmp_path: Path) -> None:
    call("register", "cloud", *RIGHT)
    found = {row["check"]: row for row in json.loads(core("doctor", "-o", "json").out)}
    assert found["secrets"]["state"] == "ok"
    (tmp_path / "home" / "secrets.key").chmod(0o644)
    found = {row["check"]: row for row in json.loads(core("doctor", "-o", "json").out)}
    assert found["secrets"]["state"] == "problem"
    assert "other users" in found["secrets"]["detail"]


def test_listings_import_no_sdk_and_no_cipher(python: Callable, call: Callable) -> None:
    call("register", "cloud", *RIGHT)
    heavy = {"boto3", "botocore", "cryptography", "pydantic", "rich", "ssl", "urllib3", "yaml"}
    for words in (
        ["secret", "list"],
        ["service-connector", "list"],
        ["service-connector", "list-types"],
        ["service-connector", "describe", "cloud"],
    ):
        code = f"from core.cli import main; main({words!r}); import sys; print(*sorted({heavy!r} & set(sys.modules)), sep=',')"
        assert python("-c", code).stdout.splitlines()[-1] == ""
