"""`core service-connector login`: real tools use a connector, what the person has set up for them stays as it is."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from core.connectors.login import folder_of
from core.testing.service_connector import Cloud

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.testing.engines.cluster import ApiServer
    from core.testing.engines.registry import RegistryServer

PLUGIN = '''
"""A cloud that gives what AWS gives."""

import time

from core.plugins import hookimpl
from core.ports.service_connector import AuthMethod, ConnectorType, Credentials, ResourceType, ServiceConnector

TYPES = (ResourceType("aws-generic", "keys"), ResourceType("s3-bucket", "a bucket", "s3://BUCKET"))


class Connector(ServiceConnector):
    name = "fake"

    def identity(self):
        return "me"

    def resources(self, resource_type):
        yield from ["s3://one", "s3://two"] if resource_type == "s3-bucket" else [""]

    def credentials(self, resource_type, resource_id=""):
        keys = {"access_key_id": "AKIAFAKE", "secret_access_key": "canary-key-91d2", "session_token": resource_type + resource_id}
        return Credentials(resource_type, resource_id, {**keys, "region": "eu-west-1"}, time.time() + 3600)


@hookimpl
def core_connectors():
    return [ConnectorType("fake", "a cloud", "fake_plugin:Connector", TYPES, (AuthMethod("none", "nothing"),))]
'''


@pytest.fixture
def person(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a person who has set up all three tools; a plugin `fake_plugin.py` is known."""
    home = tmp_path / "person"
    for path, text in {
        ".aws/config": "[default]\nregion = us-east-1\n",
        ".kube/config": json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "contexts": [{"name": "theirs", "context": {"cluster": "c", "user": "u"}}],
            }
        ),
        ".docker/config.json": json.dumps(
            {"auths": {"other.example": {"auth": "c2VjcmV0"}}, "credHelpers": {"x.example": "x"}, "proxies": {}}
        ),
    }.items():
        (home / path).parent.mkdir(parents=True)
        (home / path).write_text(text)
    for name in ("KUBECONFIG", "DOCKER_CONFIG", "AWS_CONFIG_FILE", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("core.testing.service_connector.CLOUD", Cloud())
    (project / "fake_plugin.py").write_text(PLUGIN)
    monkeypatch.setenv("CORE_PLUGINS", f"core.testing.service_connector,{project / 'fake_plugin.py'}")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    yield home
    assert {path: path.read_bytes() for path in before} == before


def shell(done: tuple[int, str, str], command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a shell that ran what `login` printed."""
    script = f"{done[1]}\n{command}"
    return subprocess.run(
        ["sh", "-c", script], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


def nobody_else_reads(home: Path, *secrets: str) -> None:
    """Files of `login` are the person's own, and hold no secret."""
    for path in (home / "login").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        if path.is_file():
            assert not any(secret in path.read_text() for secret in secrets), path


def test_aws(core: Callable, person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = pytest.importorskip("botocore.session")
    core("service-connector", "register", "cloud", "--type", "fake")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    done = core("service-connector", "login", "cloud")
    assert done.code == 0
    assert "unset AWS_ACCESS_KEY_ID" in done.out
    assert "would be stronger" in done.err
    nobody_else_reads(tmp_path / "home", "canary-key")
    made = json.loads(core("service-connector", "login", "cloud", "-o", "json").out)["environment"]
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    tool = session.Session()
    keys = tool.get_credentials()
    assert (keys.access_key, keys.secret_key, keys.token) == ("AKIAFAKE", "canary-key-91d2", "aws-generic")
    assert tool.get_config_variable("region") == "eu-west-1"
    assert keys.method == "custom-process"


def test_one_of_several_is_to_be_named(core: Callable, person: Path) -> None:
    core("service-connector", "register", "cloud", "--type", "fake")
    done = core("service-connector", "login", "cloud", "--resource-type", "s3-bucket")
    assert done.code == 2
    assert "s3://one, s3://two" in done.err
    done = core("service-connector", "login", "cloud", "--resource-type", "s3-bucket", "--resource-id", "s3://two")
    assert "s3-buckets3://two" in shell(done, 'sh -c "$(sed -n s/credential_process.=.//p $AWS_CONFIG_FILE)"').stdout
    core("service-connector", "register", "memory", "--type", "memory", "--auth-method", "role", "--role=reader")
    assert core("service-connector", "login", "memory").code == 2
    assert "no local tool" in core("service-connector", "login", "memory", "--resource-type", "memory-bucket").err


def test_kubectl(
    core: Callable, person: Path, tmp_path: Path, kubernetes_api: ApiServer, engine: Callable[[str], str]
) -> None:
    kubectl = engine("kubectl")
    (tmp_path / "ca.pem").write_text(kubernetes_api.authority)
    (tmp_path / "token").write_text(kubernetes_api.token)
    files = [f"--certificate_authority=@{tmp_path}/ca.pem", f"--token=@{tmp_path}/token", "--cluster_name=prod"]
    done = core(
        "service-connector",
        "register",
        "cloud",
        "--type",
        "kubernetes",
        "--auth-method",
        "token",
        f"--server={kubernetes_api.url}",
        *files,
    )
    assert done.code == 0, done.err
    done = core("service-connector", "login", "cloud")
    assert done.code == 0, done.err
    nobody_else_reads(tmp_path / "home", kubernetes_api.token)
    asked = shell(done, f"{kubectl} get --raw /version")
    assert json.loads(asked.stdout or "{}").get("gitVersion") == "v1.33.0", asked.stderr
    contexts = shell(done, f"{kubectl} config get-contexts -o name").stdout.split()
    assert contexts == ["core-cloud-prod", "theirs"]
    again = shell(done, "echo $KUBECONFIG").stdout.strip()
    assert again.count(os.pathsep) == 1


def test_kubectl_with_a_certificate(core: Callable, person: Path, tmp_path: Path, kubernetes_api: ApiServer) -> None:
    from core.builtin.connectors.kubeconfig import written

    values = {
        "cluster": "prod",
        "server": kubernetes_api.url,
        "certificate_authority": kubernetes_api.authority,
        "client_certificate": kubernetes_api.certificate,
        "client_key": kubernetes_api.key,
    }
    (tmp_path / "kubeconfig").write_text(written(values))
    assert (
        core(
            "service-connector", "register", "cloud", "--type", "kubernetes", f"--kubeconfig=@{tmp_path}/kubeconfig"
        ).code
        == 0
    )
    done = core("service-connector", "print-credentials", "cloud", "--tool", "kubectl")
    status = json.loads(done.out)["status"]
    assert status == {"clientCertificateData": kubernetes_api.certificate, "clientKeyData": kubernetes_api.key}
    done = core("service-connector", "login", "cloud")
    nobody_else_reads(tmp_path / "home", kubernetes_api.key)
    made = yaml.safe_load(next((tmp_path / "home" / "login" / "cloud" / "kubectl").iterdir()).read_text())
    assert made["users"][0]["user"]["exec"]["apiVersion"] == "client.authentication.k8s.io/v1"


def test_docker(
    core: Callable, person: Path, tmp_path: Path, oci_registry_basic: RegistryServer, engine: Callable[[str], str]
) -> None:
    docker, server = engine("docker"), oci_registry_basic
    (tmp_path / "password").write_text(server.password)
    words = [
        "--type",
        "docker",
        f"--server={server.host}",
        f"--username={server.username}",
        f"--password=@{tmp_path}/password",
    ]
    assert core("service-connector", "register", "hub", *words).code == 0
    done = core("service-connector", "login", "hub")
    assert done.code == 0, done.err
    nobody_else_reads(tmp_path / "home", server.password)
    helper = shell(done, f"echo {server.host} | docker-credential-core-hub get")
    assert json.loads(helper.stdout) == {
        "ServerURL": server.host,
        "Username": server.username,
        "Secret": server.password,
    }
    config = json.loads(Path(shell(done, "echo $DOCKER_CONFIG").stdout.strip(), "config.json").read_text())
    assert config["credHelpers"] == {"x.example": "x", server.host: "core-hub"}
    assert "auths" not in config
    asked = shell(done, f"{docker} manifest inspect --insecure {server.host}/nothing:here")
    assert "unauthorized" not in asked.stderr.lower()
    assert "no such manifest" in asked.stderr or "manifest unknown" in asked.stderr, asked.stderr


def test_what_login_made_goes_with_the_connector(core: Callable, person: Path, tmp_path: Path) -> None:
    core("service-connector", "register", "cloud", "--type", "fake")
    core("service-connector", "login", "cloud")
    folder = Path(folder_of(str(tmp_path / "home"), "cloud"))
    assert folder.is_dir()
    core("service-connector", "delete", "cloud")
    assert not folder.exists()
