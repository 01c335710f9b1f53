"""`core stack`: looked at as a whole, exported and imported, declared in the repository."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Done

    Core = Callable[..., Done]

PLUGIN = """
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from core.builtin.orchestrators.local import LocalOrchestrator
from core.builtin.stores.local import LocalArtifactStore
from core.errors import AuthenticationError
from core.plugins import Flavor, hookimpl
from core.ports.container_registry import ContainerRegistry
from core.ports.service_connector import AuthField, AuthMethod, ConnectorType, Credentials, ResourceType, ServiceConnector


class Far(LocalOrchestrator):
    flavor = "far"
    remote = True


class Bucket(LocalArtifactStore):
    flavor = "bucket"
    remote = True
    resource_type = "bucket"

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid")
        path: str = Field(description="Where.")
        durability: str = "process"
        password: SecretStr | None = Field(default=None, description="A secret.")

    def resource_id(self):
        return self.uri

    def verify(self):
        if self.credentials is not None and self.credentials().values["password"] != "right-password":
            raise AuthenticationError("wrong password", "give the right one")


class Images(ContainerRegistry):
    flavor = "images"

    class Settings(BaseModel):
        uri: str

    def login(self):
        return None

    def verify(self):
        return None


class Door(ServiceConnector):
    name = "door"

    def identity(self):
        return "me"

    def resources(self, resource_type):
        return iter(())

    def credentials(self, resource_type, resource_id=""):
        return Credentials(resource_type, resource_id, {"password": self.settings["password"]})


@hookimpl
def core_flavors():
    return [Flavor("orchestrator", "far", Far), Flavor("artifact_store", "bucket", Bucket), Flavor("container_registry", "images", Images)]


@hookimpl
def core_connectors():
    method = AuthMethod("password", "A word.", (AuthField("password", "The word.", secret=True, required=True), AuthField("host", "Where.")))
    return [ConnectorType("door", "A door.", f"{__name__}:Door", (ResourceType("bucket", "A bucket.", "file://PATH"),), (method,))]
"""


@pytest.fixture
def far(core: Core, project: Path, monkeypatch: pytest.MonkeyPatch) -> Core:
    """The command, with a plugin that has flavors of every type and a connector."""
    (project / "far_plugin.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.setenv("CORE_PLUGINS", str(project / "far_plugin.py"))
    monkeypatch.setenv("CORE_SECRETS_KEY", "A" * 43 + "=")
    return core


def ok(done: Done) -> Any:
    """What a command that went well printed as JSON, if it did."""
    assert done.code == 0, done
    return json.loads(done.out) if done.out.startswith(("[", "{")) else done.out


def cloud(core: Core, *more: str) -> None:
    """Registers a stack `cloud` with all that it needs."""
    ok(core("orchestrator", "register", "far", "-f", "far"))
    ok(core("artifact-store", "register", "bucket", "-f", "bucket", "--path=/nowhere/bucket"))
    ok(core("container-registry", "register", "images", "-f", "images", "--uri=example.org/images"))
    ok(core("stack", "register", "cloud", "-o", "far", "-a", "bucket", "-c", "images", *more))


def test_what_a_stack_lacks_is_said_with_the_command_that_mends_it(far: Core) -> None:
    ok(far("orchestrator", "register", "far", "-f", "far"))
    done = far("stack", "register", "cloud", "-o", "far")
    assert done.code == 6
    assert "artifact store 'default' lies on this one" in done.err
    assert "then add `-a NAME` to this command" in done.err
    assert "no container registry" in done.err
    assert "then add `-c NAME` to this command" in done.err
    assert "core stack validate" not in done.err, "there is nothing to validate yet"
    assert len(ok(far("stack", "list", "-o", "json"))) == 1


def test_a_stack_is_looked_at_again_before_a_run(far: Core) -> None:
    cloud(far)
    ok(far("stack", "set", "cloud"))
    assert ok(far("run", "train.py", "-o", "json"))["stack"] == "cloud"
    assert far("stack", "update", "cloud", "--remove", "container-registry").code == 6
    assert {row["state"] for row in ok(far("stack", "validate", "-o", "json"))} == {"ok"}
    ok(far("artifact-store", "register", "near", "-f", "local", "--path=near"))
    assert far("stack", "update", "cloud", "-a", "near").code == 6


def test_a_run_is_refused_before_it_begins(far: Core, project: Path) -> None:
    (project / "core.yaml").write_text(
        "components:\n  orchestrator:\n    far: {flavor: far}\nstacks:\n  far: {orchestrator: far}\n"
    )
    done = far("run", "train.py", "--stack", "far")
    assert (done.code, "core stack validate far" in done.err) == (6, True)
    assert "then write `container_registry: NAME` to the stack in core.yaml:5" in done.err
    assert ok(far("runs", "list", "-o", "json")) == []


def test_a_connector_is_tried_when_it_is_linked(far: Core) -> None:
    cloud(far)
    ok(far("service-connector", "register", "good", "--type", "door", "--password=right-password"))
    ok(far("service-connector", "register", "bad", "--type", "door", "--password=wrong-password"))
    refused = far("artifact-store", "connect", "bucket", "--connector", "bad")
    assert (refused.code, "wrong password" in refused.err, "--no-verify" in refused.err) == (4, True, True)
    ok(far("artifact-store", "connect", "bucket", "--connect", "good"))
    assert ok(far("artifact-store", "describe", "bucket", "-o", "json"))["connector"] == "good"
    assert far("service-connector", "delete", "good").code == 5
    ok(far("artifact-store", "connect", "bucket", "--connector", "bad", "--no-verify"))
    assert far("run", "train.py", "--stack", "cloud").code == 4
    assert far("stack", "validate", "cloud").code == 4
    ok(far("artifact-store", "disconnect", "bucket"))
    assert far("artifact-store", "disconnect", "bucket").code == 2
    assert far("container-registry", "connect", "images", "--connector", "good").code == 6
    assert far("artifact-store", "connect", "bucket", "--connector", "nobody").code == 3


def test_a_secret_setting_must_be_a_reference(far: Core) -> None:
    done = far("artifact-store", "register", "b", "-f", "bucket", "--path=/x", "--password=in-the-clear")
    assert (done.code, "in-the-clear" in done.err, "core secret create" in done.err) == (6, False, True)
    assert far("artifact-store", "register", "b", "-f", "bucket", "--path=/x", "--password={{s.word}}").code == 3
    ok(far("secret", "create", "s", "--word=open-sesame"))
    ok(far("artifact-store", "register", "b", "-f", "bucket", "--path=/x", "--password={{s.word}}"))
    settings = ok(far("artifact-store", "describe", "b", "-o", "json"))["settings"]
    assert settings == {"path": "/x", "password": "{{s.word}}"}


def test_a_stack_travels_without_its_secrets(
    far: Core, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud(far)
    ok(far("service-connector", "register", "good", "--type", "door", "--password=right-password", "--host=h"))
    ok(far("artifact-store", "connect", "bucket", "--connector", "good"))
    ok(far("stack", "export", "cloud", "out.yaml"))
    assert far("stack", "export", "cloud", "out.yaml").code == 5
    text = (project / "out.yaml").read_text()
    assert "right-password" not in text
    before = ok(far("stack", "export", "cloud"))
    monkeypatch.setenv("CORE_HOME", str(tmp_path / "another"))
    done = far("stack", "import", "out.yaml")
    assert (done.code, "core service-connector register good --type door" in done.err) == (0, True)
    assert "--host=h --password=@FILE" in done.err
    assert "registered already" in far("stack", "import", "out.yaml").err
    (project / "out.yaml").rename(project / "core.yaml")
    for words in (("stack", "validate", "cloud"), ("run", "train.py", "--stack", "cloud")):
        done = far(*words)
        assert (done.code, "`core service-connector register good --type door" in done.err) == (3, True), done
        assert "artifact store 'bucket' is linked to service connector 'good', which is not registered here" in done.err
    (project / "core.yaml").unlink()
    assert "or `core artifact-store disconnect bucket`" in far("stack", "validate", "cloud").err
    ok(far("service-connector", "register", "good", "--type", "door", "--password=right-password", "--host=h"))
    assert ok(far("stack", "export", "cloud")) == before
    ok(far("run", "train.py", "--stack", "cloud"))


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("stacks: [1]", 6, "bad.yaml:1: expected keys and values, not a list"),
        ("version: 7", 6, "this core reads version 1"),
        ("stack:\n  a: {}", 6, "unknown key 'stack'; did you mean 'stacks'?"),
        ("stacks:\n  a: {orchestratr: x}", 6, "bad.yaml:2: unknown component type 'orchestratr' of stack 'a'"),
        ("stacks:\n  a: {orchestrator: x}", 3, "there is no orchestrator 'x'"),
        ("stacks:\n  ../a: {}", 6, "bad.yaml:2: '../a' can't be the name of a stack"),
        ("stacks:\n  default: {}", 6, "built in"),
        ("stacks:\n  a: {}\n  a: {}", 6, "bad.yaml:3: key 'a' stands here again"),
        ("components:\n  artifact_store:\n    a: {settings: {path: x}}", 6, "bad.yaml:3: artifact store 'a' has no flavor"),
        ("components:\n  artifact_store:\n    a:\n      flavor: local\n      settings:\n        pth: x", 6, "bad.yaml:6: artifact store 'a'"),
        ("components:\n  artifact_store:\n    a: {flavor: nobody}", 3, "bad.yaml:3: there is no flavor 'nobody'"),
        ("components:\n  artifact_store:\n    a: {flavor: fsspec, settings: {path: 'memory://', storage_options: {secret: '***'}}}", 6, "was left out"),
        ("service_connectors:\n  a: {method: x}", 6, "has no type"),
        ("service_connectors:\n  a: {type: dokcer, method: password}", 3, "bad.yaml:2: there is no type 'dokcer'"),
        ("service_connectors:\n  a: {type: docker, method: pass}", 3, "bad.yaml:2: connector type 'docker' has no auth method 'pass'; did you mean"),
        ("service_connectors:\n  a:\n    type: docker\n    method: password\n    settings: {servr: h}", 2, "bad.yaml:2: connector type 'docker'"),
        ("service_connectors:\n  a:\n    type: docker\n    method: password\n    settings:\n      server: [h]", 6, "bad.yaml:6: expected a text"),
        ("stacks: {}", 6, "declares nothing"),
        ("a: &a [x]\n" + "".join(f"b{i}: *a\n" for i in range(51)), 6, "more than 50 aliases"),
        ("[" * 60 + "]" * 60, 6, "deeper than 50"),
        ("#" * 1_000_001, 6, "larger than 1,000,000 bytes"),
        ("stacks: !!python/name:os.system x", 6, "bad.yaml:1: tag"),
        ("stacks: {a\n", 6, "not valid YAML"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused_with_its_line(
    core: Core, project: Path, text: str, code: int, said: str
) -> None:
    (project / "bad.yaml").write_text(text)
    done = core("stack", "import", "bad.yaml")
    assert (done.code, said in done.err, "Traceback" in done.err) == (code, True, False), done.err
    assert len(ok(core("stack", "list", "-o", "json"))) == 1
    assert len(ok(core("artifact-store", "list", "-o", "json"))) == 1


def test_stacks_may_live_in_the_repository(core: Core, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.core]\nworkers = 1\n\n[tool.core.stacks.near]\nartifact_store = "blobs"\n\n'
        '[tool.core.components.artifact_store.blobs]\nflavor = "local"\nsettings = {path = "blobs"}\n'
    )
    row = ok(core("stack", "list", "-o", "json"))[1]
    assert (row["name"], row["origin"]) == ("near", "pyproject.toml:4")
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    ok(core("stack", "set", "near"))
    ok(core("run", "../train.py", "--set", "inline_limit=0"))
    assert any((project / "blobs").rglob("*"))
    assert core("stack", "delete", "near").code == 5
    assert core("artifact-store", "rename", "blobs", "b").code == 5
    monkeypatch.chdir("/")
    assert "core stack set default" in core("stack", "describe").err


def test_a_name_of_two_things_is_told_and_refused(core: Core, project: Path) -> None:
    ok(core("artifact-store", "register", "a", "-f", "local", "--path=one"))
    ok(core("stack", "register", "s", "-a", "a"))
    ok(core("stack", "export", "s", "core.yaml"))
    assert "warning" not in core("stack", "list").err
    file = project / "core.yaml"
    file.write_text(file.read_text().replace("/one", "/two"))
    assert "artifact store 'a' is one thing in the catalog and another in core.yaml" in core("stack", "list").err
    assert core("run", "train.py", "--stack", "s").code == 5
    ok(core("artifact-store", "delete", "a"))
    ok(core("run", "train.py", "--stack", "s"))


def test_stacks_are_updated_copied_and_deleted(core: Core) -> None:
    ok(core("artifact-store", "register", "a", "-f", "local", "--path=one"))
    ok(core("stack", "register", "s"))
    ok(core("stack", "update", "s", "-a", "a"))
    ok(core("stack", "copy", "s", "t"))
    assert ok(core("stack", "describe", "t", "-o", "json"))["components"]["artifact_store"]["name"] == "a"
    ok(core("stack", "update", "t", "--remove", "artifact_store"))
    assert ok(core("stack", "describe", "t", "-o", "json"))["components"]["artifact_store"]["name"] == "default"
    ok(core("stack", "set", "t"))
    assert core("stack", "delete", "t").code == 5
    ok(core("stack", "set", "default"))
    ok(core("stack", "delete", "t"))
    assert core("stack", "delete", "default").code == 5
    assert core("stack", "update", "s").code == 2


def test_the_doctor_looks_at_the_active_stack(far: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud(far)
    rows = [row for row in ok(far("doctor", "-o", "json")) if row["check"] == "stack"]
    assert [row["detail"] for row in rows] == ["the default one: everything on this machine"]
    monkeypatch.setenv("CORE_STACK", "cloud")
    rows = [row for row in ok(far("doctor", "-o", "json")) if row["check"] == "stack"]
    assert [row["detail"] for row in rows] == [
        "'cloud': orchestrator 'far'", "'cloud': artifact store 'bucket'", "'cloud': container registry 'images'",
    ]  # fmt: skip
    monkeypatch.setenv("CORE_STACK", "clod")
    done = far("doctor", "-o", "json")
    assert (done.code, "did you mean 'cloud'?" in done.out) == (6, True)


def test_an_orchestrator_that_a_step_names_is_looked_at_too(far: Core, project: Path) -> None:
    ok(far("orchestrator", "register", "far", "-f", "far"))
    (project / "train.py").write_text(
        (project / "train.py").read_text().replace("@step\ndef total", "@step(runs_on='far')\ndef total")
    )
    done = far("run", "train.py")
    assert (done.code, "artifact store 'default' lies on this one" in done.err) == (6, True)
    assert ok(far("runs", "list", "-o", "json")) == []


def test_an_import_is_looked_at_as_a_whole_before_anything_is_kept(far: Core, project: Path) -> None:
    file = project / "in.yaml"
    file.write_text(
        "components:\n  orchestrator:\n    far: {flavor: far}\n  artifact_store:\n"
        "    b: {flavor: bucket, settings: {path: /nowhere/b}, connector: door}\n"
        "stacks:\n  cloud: {orchestrator: far, artifact_store: b}\n"
        'service_connectors:\n  door: {type: door, method: password, settings: {host: "h; rm -rf ~"}, secrets: [password]}\n'
    )
    done = far("stack", "import", "in.yaml")
    assert (done.code, "to the stack in in.yaml:7" in done.err) == (6, True), done
    assert len(ok(far("orchestrator", "list", "-o", "json"))) == 1
    text = file.read_text().replace("orchestrator: far,", "")
    file.write_text(text.replace("connector: door", "connector: dor"))
    done = far("stack", "import", "in.yaml")
    assert (done.code, "did you mean 'door'?" in done.err) == (3, True), done
    file.write_text(text)
    done = far("stack", "import", "in.yaml")
    assert (done.code, "'--host=h; rm -rf ~'" in done.err) == (0, True), "quoted: it is pasted into a shell"
    ok(far("service-connector", "register", "door", "--type", "docker", "--username=u", "--password=p", "--no-verify"))
    assert far("stack", "import", "in.yaml").code == 5, "there it is something else"


def test_a_broken_plugin_and_two_that_claim_one_flavor_are_named_and_the_rest_works(
    far: Core, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "again.py").write_text(PLUGIN)
    (project / "breaks.py").write_text("raise RuntimeError('at import')")
    monkeypatch.setenv(
        "CORE_PLUGINS", ",".join(str(project / f"{name}.py") for name in ("far_plugin", "again", "breaks"))
    )
    for words in (("artifact-store", "flavor", "list"), ("service-connector", "list-types")):
        done = far(*words)
        assert (done.code, "'breaks'" in done.err, "at import" in done.err) == (0, True, True), done
        assert "is claimed by" in done.err
    done = far("artifact-store", "register", "b", "-f", "bucket", "--path=/x")
    assert (done.code, "again.py" in done.err, "far_plugin.py" in done.err) == (6, True, True), done
    assert far("service-connector", "register", "c", "--type", "door", "--password=right").code == 6
    ok(far("artifact-store", "register", "b", "-f", "local", "--path=x"))
    ok(far("run", "train.py"))
    doctor = far("doctor", "-o", "json")
    assert (doctor.code, "flavor 'bucket' of artifact store is claimed by" in doctor.out) == (6, True)
